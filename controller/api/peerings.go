package api

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
	"sluice/controller/client"
	"sluice/store"
)

// peeringPath are the two tenants that a route names, in any order.
type peeringPath struct {
	One   string `path:"one" example:"alice"`
	Other string `path:"other" example:"bob"`
}

func (s *server) peerings(a huma.API) {
	const tag, one = "peerings", "/v1/peerings/{one}/{other}"
	huma.Register(a, operation("list-peerings", http.MethodGet, "/v1/peerings", tag, "List peerings of tenants", access.Read), s.listPeerings)
	huma.Register(a, conditional(operation("create-peering", http.MethodPost, "/v1/peerings", tag, "Peer two tenants, or say that one of them wants it", access.Change)), s.createPeering)
	huma.Register(a, conditional(operation("show-peering", http.MethodGet, one, tag, "Show the peering of two tenants", access.Read)), s.showPeering)
	huma.Register(a, conditional(operation("delete-peering", http.MethodDelete, one, tag, "End the peering of two tenants, at once", access.Change)), s.deletePeering)
}

type peeringQuery struct {
	client.PageQuery
	Tenant string `query:"tenant" doc:"only this tenant's"`
}

func (s *server) listPeerings(ctx context.Context, in *peeringQuery) (_ *page[client.Peering], err error) {
	if in.Tenant, err = visibleTenant(ctx, in.Tenant); err != nil {
		return nil, err
	}
	if err := s.checkNames(in.Tenant, "", ""); err != nil {
		return nil, err
	}
	keys := func(state *store.State, after store.Key) iter.Seq[store.Key] {
		return peeringKeys(state, in.Tenant, after)
	}
	caller := access.From(ctx)
	return listing(s, store.KindPeering, in.PageQuery, keys, func(state *store.State, key store.Key) (client.Peering, bool) {
		tenant, peer := key.Tenant, key.Name
		if peer == in.Tenant {
			tenant, peer = peer, tenant
		}
		return peeringOf(state, caller, tenant, peer)
	})
}

// peeringKeys walks one word of each two tenants: the smaller key, of which a tenant is asked for or none.
func peeringKeys(state *store.State, tenant string, after store.Key) iter.Seq[store.Key] {
	return func(yield func(store.Key) bool) {
		for p := range state.Peerings() {
			one, other := p.Key.Tenant, p.Key.Name
			first := one < other || state.Peering(other, one) == nil
			if first && (tenant == "" || tenant == one || tenant == other) && p.Key.Short() > after.Short() && !yield(p.Key) {
				return
			}
		}
	}
}

func (s *server) showPeering(ctx context.Context, in *peeringPath) (*tagged[client.Peering], error) {
	tenant, peer, err := sides(ctx, in.One, in.Other)
	if err != nil {
		return nil, err
	}
	var shown client.Peering
	exists := false
	s.Controller.View(func(state *store.State) { shown, exists = peeringOf(state, access.From(ctx), tenant, peer) })
	if !exists {
		return nil, absent("peering", tenant+" "+peer, "peer list")
	}
	return show(ctx, shown.Modified, shown)
}

// sides are two tenants as the caller sees them: its own first. To another tenant's caller there is no such peering.
func sides(ctx context.Context, one, other string) (tenant, peer string, err error) {
	for _, name := range []string{one, other} {
		if err := store.ValidateName(name); err != nil {
			return "", "", huma.Error400BadRequest("tenant: " + err.Error())
		}
	}
	switch caller := access.From(ctx); {
	case caller.Sees(one):
		return one, other, nil
	case caller.Sees(other):
		return other, one, nil
	}
	return "", "", absent("tenant", one, "tenant list")
}

// peeringOf is what the API shows of two tenants; false: neither speaks of the other.
func peeringOf(state *store.State, caller access.Caller, tenant, peer string) (client.Peering, bool) {
	own, others := state.Peering(tenant, peer), state.Peering(peer, tenant)
	if own == nil && others == nil {
		return client.Peering{}, false
	}
	p := client.Peering{Tenant: tenant, Peer: peer, Networks: []string{}, PeerNetworks: []string{}, State: client.PeeringAgreed, Why: []string{}, Modified: said(state, tenant, peer)}
	if own != nil {
		p.Networks, p.PeerNetworks = inBoth(own.Value.Networks, nil), inBoth(own.Value.PeerNetworks, nil)
	}
	if others != nil {
		p.Networks, p.PeerNetworks = inBoth(p.Networks, others.Value.PeerNetworks), inBoth(p.PeerNetworks, others.Value.Networks)
	}
	obstacles, pairs, agreed := state.Obstacles(tenant, peer)
	if !agreed {
		p.State, p.OfferedBy, p.Why = client.PeeringOffered, tenant, []string{lacking(state, caller, tenant, peer)}
		if own == nil {
			p.OfferedBy = peer
		}
		return p, true
	}
	knows := func(third string) bool {
		return caller.Sees(third) || slices.Contains(state.PeersOf(caller.Tenant), third)
	}
	for _, o := range obstacles {
		p.Why = append(p.Why, o.Words(knows))
	}
	if pairs == 0 {
		p.State = client.PeeringRefused
		if len(obstacles) == 0 {
			p.Why = append(p.Why, "no network is named by both: name the same networks on both sides")
		}
		return p, true
	}
	p.Why = append(p.Why, differingMTUs(state, tenant, peer)...)
	return p, true
}

// said is when one of two tenants said something of the other last.
func said(state *store.State, tenant, peer string) (last store.Revision) {
	for _, word := range []*store.Item[store.Peering]{state.Peering(tenant, peer), state.Peering(peer, tenant)} {
		if word != nil {
			last = max(last, word.Modified)
		}
	}
	return last
}

// matchPeering is a request that presumes of both words what If-Match asks: what one of the two says changes what is shown
// of the other's too.
func matchPeering(ctx context.Context, request func(*store.State) (store.Proposal, error), tenant, peer string) func(*store.State) (store.Proposal, error) {
	asked, _ := ctx.Value(matchKey{}).(store.Revision)
	if asked == 0 {
		return request
	}
	return func(state *store.State) (store.Proposal, error) {
		p, err := request(state)
		if err != nil {
			return p, err
		}
		if now := said(state, tenant, peer); now != asked {
			return p, fmt.Errorf("peering of %s and %s: %w revision %d, as of which the request was made: read it again and decide anew", tenant, peer, store.ErrChanged, asked)
		}
		for _, key := range []store.Key{store.PeeringKey(tenant, peer), store.PeeringKey(peer, tenant)} {
			unchanged := store.Presumption{Condition: store.Unchanged, Path: key.String()}
			if word := state.Peering(key.Tenant, key.Name); word != nil {
				unchanged.Revision = word.Modified
			}
			p.Presumes = append(p.Presumes, unchanged)
		}
		return p, nil
	}
}

// inBoth are the names of both lists, of which an empty one stands for all.
func inBoth(a, b []string) []string {
	switch {
	case len(a) == 0:
		return append([]string{}, b...)
	case len(b) == 0:
		return append([]string{}, a...)
	}
	return slices.DeleteFunc(slices.Clone(a), func(name string) bool { return !slices.Contains(b, name) })
}

// lacking says what an offer waits for. Whether a name is a tenant's is not told to another tenant.
func lacking(state *store.State, caller access.Caller, tenant, peer string) string {
	own, others := state.Peering(tenant, peer), state.Peering(peer, tenant)
	if own == nil {
		tenant, peer, own, others = peer, tenant, others, own
	}
	switch {
	case caller.Role != store.RoleTenant && state.Tenant(peer) == nil:
		return fmt.Sprintf("tenant %s is not there, or not any more: %s takes its word back with sluice unpeer %s %s", peer, tenant, tenant, peer)
	case others == nil:
		return fmt.Sprintf("%s has not agreed, or not any more: it does with sluice peer %s %s", peer, peer, tenant)
	}
	earlier := own // one of the two is of tenants that are not there now
	if state.Means(own) {
		earlier = others
	}
	return fmt.Sprintf("what %s said was of an earlier tenant: it agrees anew with sluice peer %s %s", earlier.Key.Tenant, earlier.Key.Tenant, earlier.Key.Name)
}

// differingMTUs tells of networks that reach each other and take packets of different sizes.
func differingMTUs(state *store.State, tenant, peer string) (notes []string) {
	for a := range state.NetworksOf(tenant) {
		for b := range state.NetworksOf(peer) {
			if !state.Crosses(a.Key.NetworkName(), b.Key.NetworkName()) {
				continue
			}
			if a.Value.MTU != b.Value.MTU || a.Value.MTU == 0 && a.Value.Segmentation != b.Value.Segmentation {
				notes = append(notes, fmt.Sprintf("the MTU of networks %s (%s) and %s (%s) differs: TCP finds the smaller one by itself, larger packets of others are lost",
					a.Key.NetworkName(), mtu(a.Value), b.Key.NetworkName(), mtu(b.Value)))
			}
		}
	}
	return notes
}

// mtu is a network's for people.
func mtu(n *store.Network) string {
	if n.MTU == 0 {
		return fmt.Sprintf("derived, %s", n.Segmentation)
	}
	return fmt.Sprintf("%d bytes", n.MTU)
}

func (s *server) createPeering(ctx context.Context, in *struct{ Body client.PeeringSpec }) (*tagged[client.Peering], error) {
	caller := access.From(ctx)
	spec := store.PeeringSpec{Tenant: in.Body.Tenant, Peer: in.Body.Peer, Networks: in.Body.Networks, PeerNetworks: in.Body.PeerNetworks,
		Both: caller.Role == store.RoleAdmin, By: caller.Name}
	if err := spec.Validate(); err != nil { // before its names become keys
		return nil, s.refuse(err)
	}
	tenant, _, err := sides(ctx, spec.Tenant, spec.Peer)
	if err != nil {
		return nil, err
	}
	if tenant != spec.Tenant {
		spec = spec.Turned()
	}
	object := "peering " + spec.Tenant + "/" + spec.Peer
	rev, err := s.write(ctx, object, func(ctx context.Context) (store.Revision, error) {
		rev, err := s.Store.Decide(ctx, matchPeering(ctx, spec.Propose, spec.Tenant, spec.Peer), spec.Needs(s.peersOf(spec.Tenant, spec.Peer))...)
		if err != nil {
			return 0, fmt.Errorf("peer %s with %s: %w", spec.Tenant, spec.Peer, err)
		}
		return rev, nil
	})
	if err != nil {
		return nil, err
	}
	shown, err := s.showPeering(ctx, &peeringPath{spec.Tenant, spec.Peer})
	return shown, unseen(err, "peering", spec.Tenant+" "+spec.Peer, rev)
}

// peersOf are those that tenants are peered with.
func (s *server) peersOf(tenants ...string) (peers []string) {
	s.Controller.View(func(state *store.State) {
		for _, t := range tenants {
			peers = append(peers, state.PeersOf(t)...)
		}
	})
	peers = slices.DeleteFunc(peers, func(p string) bool { return slices.Contains(tenants, p) })
	slices.Sort(peers)
	return slices.Compact(peers)
}

func (s *server) deletePeering(ctx context.Context, in *peeringPath) (*body[client.Deleted], error) {
	tenant, peer, err := sides(ctx, in.One, in.Other)
	if err != nil {
		return nil, err
	}
	keys := []store.Key{store.PeeringKey(tenant, peer)}
	if access.From(ctx).Role == store.RoleAdmin {
		keys = append(keys, store.PeeringKey(peer, tenant))
	}
	return s.remove(ctx, "peering "+tenant+"/"+peer, func(ctx context.Context) (store.Revision, error) {
		needs := []string{store.PeeringKey(tenant, peer).String(), store.PeeringKey(peer, tenant).String()}
		request := func(state *store.State) (store.Proposal, error) { return store.ProposeUnpeer(state, keys...) }
		return s.Store.Decide(ctx, matchPeering(ctx, request, tenant, peer), needs...)
	})
}
