package store

import (
	"fmt"
	"slices"
	"strings"
)

// PeeringSpec is what a user says about a new peering.
type PeeringSpec struct {
	Tenant, Peer           string
	Networks, PeerNetworks []string // by name; none: all
	// Both says the same for the peer: the user may speak for both tenants.
	Both bool
	By   string
}

// Validate refuses what no state would allow.
func (s PeeringSpec) Validate() error {
	for _, name := range slices.Concat([]string{s.Tenant, s.Peer}, s.Networks, s.PeerNetworks) {
		if err := ValidateName(name); err != nil {
			return fmt.Errorf("peering: %w: %w", ErrInvalid, err)
		}
	}
	if s.Tenant == s.Peer {
		return fmt.Errorf("peering: %w: tenant %s needs none with itself: its networks reach each other", ErrInvalid, s.Tenant)
	}
	return nil
}

// Needs are the paths that Propose looks at. third are other tenants that one of the two is peered with.
func (s PeeringSpec) Needs(third []string) []string {
	var paths []string
	for _, tenant := range append([]string{s.Tenant, s.Peer}, third...) {
		paths = append(paths, TenantKey(tenant).String(), Under(KindNetwork, tenant), Under(KindPeering, tenant))
	}
	return paths
}

// Propose writes the tenant's word, or that of both. Where the peer agrees, a peering of which no two networks
// could reach each other is refused.
func (s PeeringSpec) Propose(state *State) (Proposal, error) {
	if err := s.Validate(); err != nil {
		return Proposal{}, err
	}
	own, err := s.word(state)
	if err != nil {
		return Proposal{}, err
	}
	others := state.Peering(s.Peer, s.Tenant)
	words := []*Item[Peering]{own}
	if s.Both {
		if others, err = s.Turned().word(state); err != nil {
			return Proposal{}, err
		}
		words = append(words, others)
	}
	if err := s.wouldReach(state, own, others); err != nil {
		return Proposal{}, err
	}
	var p Proposal
	for _, w := range words {
		p.say(state, w)
	}
	if len(p.Writes) > 0 {
		p.Presumes = append(p.Presumes, s.tenants(state)...)
	}
	return p, nil
}

// Turned is the spec as the peer says it.
func (s PeeringSpec) Turned() PeeringSpec {
	return PeeringSpec{Tenant: s.Peer, Peer: s.Tenant, Networks: s.PeerNetworks, PeerNetworks: s.Networks, Both: s.Both, By: s.By}
}

// word is what the tenant says then.
func (s PeeringSpec) word(state *State) (*Item[Peering], error) {
	tenant, peer := state.Tenant(s.Tenant), state.Tenant(s.Peer)
	if tenant == nil {
		return nil, noSuchTenant(s.Tenant)
	}
	if peer == nil && s.Both {
		return nil, noSuchTenant(s.Peer)
	}
	for _, name := range s.Networks {
		if state.Network(NetworkName{s.Tenant, name}) == nil {
			return nil, fmt.Errorf("network %s/%s: %w: no such network: see sluice network list", s.Tenant, name, ErrNotFound)
		}
	}
	w := &Peering{TenantCreated: tenant.Created, Networks: s.Networks, PeerNetworks: s.PeerNetworks, By: s.By}
	if peer != nil {
		w.PeerCreated = peer.Created
	}
	item := &Item[Peering]{Key: PeeringKey(s.Tenant, s.Peer), Value: w, Created: state.Revision() + 1}
	if there := state.Peering(s.Tenant, s.Peer); there != nil {
		item.Created = there.Created
		return item, nil
	}
	if said := len(state.saidBy(s.Tenant)); said >= MaxPeerings {
		return nil, fmt.Errorf("tenant %s: %w: it has %d peerings, and may have %d: end some", s.Tenant, ErrLimit, said, MaxPeerings)
	}
	return item, nil
}

// saidBy are the tenants that a tenant speaks of.
func (s *State) saidBy(tenant string) []string {
	return slices.DeleteFunc(s.PeeringsWith(tenant), func(peer string) bool { return s.Peering(tenant, peer) == nil })
}

// tenants are there when it is written, as they were read.
func (s PeeringSpec) tenants(state *State) []Presumption {
	own := state.Tenant(s.Tenant)
	list := []Presumption{{Condition: CreatedAt, Path: own.Key.String(), Revision: own.Created, Refusal: noSuchTenant(s.Tenant)}}
	if peer := state.Tenant(s.Peer); s.Both {
		list = append(list, Presumption{Condition: CreatedAt, Path: peer.Key.String(), Revision: peer.Created, Refusal: noSuchTenant(s.Peer)})
	}
	return list
}

// wouldReach refuses a peering that both sides agree on and of which no networks would reach each other. It says
// nothing of the peer where that has not agreed.
func (s PeeringSpec) wouldReach(state *State, own, others *Item[Peering]) error {
	if others == nil || others.Value.PeerCreated != own.Value.TenantCreated || others.Value.TenantCreated != own.Value.PeerCreated {
		return nil
	}
	obstacles, pairs := state.obstacles(agreement{own, others})
	if pairs > 0 {
		return nil
	}
	const what = "peering of tenants %s and %s: %w: "
	if len(obstacles) == 0 {
		return fmt.Errorf(what+"%s names %s, %s names %s, and no network is of both: name the same networks on both sides", own.Key.Tenant, own.Key.Name,
			ErrInvalid, own.Key.Tenant, own.Value.about(own.Key), others.Key.Tenant, others.Value.about(others.Key))
	}
	knows := func(tenant string) bool { return s.Both || slices.Contains(state.PeersOf(s.Tenant), tenant) }
	return fmt.Errorf(what+"%s", own.Key.Tenant, own.Key.Name, ErrInvalid, obstacles[0].Words(knows))
}

// about are the networks that a word names, for people.
func (p *Peering) about(key Key) string {
	return named(key.Tenant, p.Networks) + " and " + named(key.Name, p.PeerNetworks)
}

func named(tenant string, networks []string) string {
	if len(networks) == 0 {
		return "all of " + tenant
	}
	return tenant + "/" + strings.Join(networks, ",")
}

// say writes a word, unless it stands as it is.
func (p *Proposal) say(state *State, w *Item[Peering]) {
	var was Revision
	if there := state.Peering(w.Key.Tenant, w.Key.Name); there != nil {
		if was = there.Modified; there.Value.same(w.Value) {
			return
		}
	}
	p.Writes = append(p.Writes, Event{Key: w.Key, Object: w.Value})
	p.Presumes = append(p.Presumes, Presumption{Condition: Unchanged, Path: w.Key.String(), Revision: was})
}

// same reports whether two words say the same, whoever said them.
func (p *Peering) same(q *Peering) bool {
	return p.TenantCreated == q.TenantCreated && p.PeerCreated == q.PeerCreated &&
		slices.Equal(p.Networks, q.Networks) && slices.Equal(p.PeerNetworks, q.PeerNetworks)
}

// ProposeUnpeer takes words back: those under keys that there are. It is refused where there is none.
func ProposeUnpeer(s *State, keys ...Key) (Proposal, error) {
	var p Proposal
	for _, key := range keys {
		if there := s.Peering(key.Tenant, key.Name); there != nil {
			p.remove(Event{Key: key, Object: there.Value})
			p.Presumes = append(p.Presumes, Presumption{Condition: Unchanged, Path: key.String(), Revision: there.Modified})
		}
	}
	if len(p.Writes) == 0 {
		return Proposal{}, fmt.Errorf("peering of tenants %s and %s: %w: there is none: see sluice peer list", keys[0].Tenant, keys[0].Name, ErrNotFound)
	}
	return p, nil
}
