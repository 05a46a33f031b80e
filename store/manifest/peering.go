package manifest

import (
	"fmt"
	"slices"

	"sluice/store"
)

// DeclaredPeering is a tenant's word that it and another one are to reach each other. They do once the other one says so too.
type DeclaredPeering struct {
	With         string   `json:"with" doc:"the other tenant, which declares the same of this one" example:"bob"`
	Networks     []string `json:"networks,omitempty" doc:"of this tenant; none: all"`
	PeerNetworks []string `json:"peerNetworks,omitempty" doc:"of the other one; none: all"`
}

// declaredBy is who said what a manifest declares. The audit log names who applied it.
const declaredBy = "manifest"

func peeringPath(i, k int) string { return fmt.Sprintf("tenants[%d].peerings[%d]", i, k) }

func (p *DeclaredPeering) spec(tenant string) store.PeeringSpec {
	return store.PeeringSpec{Tenant: tenant, Peer: p.With, Networks: p.Networks, PeerNetworks: p.PeerNetworks, By: declaredBy}
}

// peeringSteps are those of what a tenant says of others. They come after those of all tenants, since both have to be there.
func (t *DeclaredTenant) peeringSteps(s *store.State, i int) (steps []Step) {
	for k := range t.Peerings {
		p := &t.Peerings[k]
		spec := p.spec(t.Name)
		step := Step{
			Key: store.PeeringKey(t.Name, p.With), Path: peeringPath(i, k), Change: Create, Request: spec.Propose, Differs: p.differs(&store.Peering{}),
			Needs: spec.Needs(slices.Concat(s.PeersOf(t.Name), s.PeersOf(p.With))),
		}
		if is := s.Peering(t.Name, p.With); is != nil {
			step.Change, step.Differs = Update, p.differs(is.Value)
			if outdated(s, is) {
				step.Differs = append(step.Differs, Field{Name: "tenants", Before: "of these names before", After: "of these names now"})
			}
			if len(step.Differs) == 0 {
				continue
			}
		}
		steps = append(steps, step)
	}
	return steps
}

// outdated reports whether a word is of other tenants than have the names now.
func outdated(s *store.State, is *store.Item[store.Peering]) bool {
	created := func(tenant string) store.Revision {
		if t := s.Tenant(tenant); t != nil {
			return t.Created
		}
		return 0
	}
	return is.Value.TenantCreated != created(is.Key.Tenant) || is.Value.PeerCreated != created(is.Key.Name)
}

// differs are the networks in which what a tenant says differs from what is declared.
func (p *DeclaredPeering) differs(is *store.Peering) []Field {
	return differ(
		Field{"networks", sortedWords(is.Networks), sortedWords(p.Networks)},
		Field{"peerNetworks", sortedWords(is.PeerNetworks), sortedWords(p.PeerNetworks)},
	)
}

// exportPeerings declares what a tenant says of others.
func exportPeerings(s *store.State, tenant string) (list []DeclaredPeering) {
	for _, peer := range s.PeeringsWith(tenant) {
		if is := s.Peering(tenant, peer); is != nil && !outdated(s, is) {
			list = append(list, DeclaredPeering{With: peer, Networks: is.Value.Networks, PeerNetworks: is.Value.PeerNetworks})
		}
	}
	return list
}
