package store

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
)

// KindPeering is {tenant}/{name}, where the name is another tenant's.
const KindPeering Kind = "peerings"

// PeeringKey is the key of what a tenant says about another one.
func PeeringKey(tenant, peer string) Key { return Key{Kind: KindPeering, Tenant: tenant, Name: peer} }

// MaxPeerings bounds with how many others one tenant may peer.
const MaxPeerings = 1000

// Peering is one tenant's word: another tenant may reach its networks. It counts once the other says the
// same of it, for those networks that both name.
type Peering struct {
	// TenantCreated and PeerCreated are the create revisions of the two tenants: others that are made under
	// their names later are somebody else. 0: the peer is not there yet.
	TenantCreated Revision `json:"tenantCreated,omitempty"`
	PeerCreated   Revision `json:"peerCreated,omitempty"`
	Networks      []string `json:"networks,omitempty"`     // of the tenant; empty: all
	PeerNetworks  []string `json:"peerNetworks,omitempty"` // of the peer; empty: all
	By            string   `json:"by,omitempty"`           // who said it
}

// joins reports whether the word is about a network of the tenant and one of the peer.
func (p *Peering) joins(network, peers string) bool {
	return names(p.Networks, network) && names(p.PeerNetworks, peers)
}

func names(list []string, name string) bool { return len(list) == 0 || slices.Contains(list, name) }

// Kind is KindPeering.
func (*Peering) Kind() Kind { return KindPeering }

var peeringKind = &description[Key, Peering, *Peering]{
	facts: facts{
		label:  "peering",
		parts:  []part{partTenant, partName},
		writer: "API", reader: "controllers",
		refers: []reference{{to: KindTenant, onDelete: follows}},
	},
	table: func(s *State) *table[Key, Peering] { return &s.peerings.table },
	id:    func(k Key) Key { return k },
	index: indexPeering,
}

// peerings is what State keeps of peerings.
type peerings struct {
	table[Key, Peering]
	with sets[string, string] // tenant -> tenants that speak of it, or that it speaks of
}

func indexPeering(a *application, p *Item[Peering], add bool) {
	one, other := p.Key.Tenant, p.Key.Name
	if one == other {
		return // only a hand edit says that, and it means nothing
	}
	if add {
		a.peerings.with.add(one, other)
		a.peerings.with.add(other, one)
		return
	}
	a.former.peers.add(one, other)
	a.former.peers.add(other, one)
	if a.Peering(other, one) == nil {
		a.peerings.with.remove(one, other)
		a.peerings.with.remove(other, one)
	}
}

// Peering is what a tenant says about another one, or nil.
func (s *State) Peering(tenant, peer string) *Item[Peering] {
	return s.peerings.items[PeeringKey(tenant, peer)]
}

// Peerings walks all that tenants say, sorted by tenant and peer.
func (s *State) Peerings() iter.Seq[*Item[Peering]] {
	return func(yield func(*Item[Peering]) bool) {
		for _, key := range slices.SortedFunc(maps.Keys(s.peerings.items), compareKeys) {
			if !yield(s.peerings.items[key]) {
				return
			}
		}
	}
}

// PeeringsWith are the tenants that speak of a tenant, or that it speaks of, sorted.
func (s *State) PeeringsWith(tenant string) []string {
	return slices.Sorted(maps.Keys(s.peerings.with.sets[tenant]))
}

// PeersOf are the tenants that a tenant agreed with, and they with it, sorted. None of their networks may
// reach each other: see Crosses.
func (s *State) PeersOf(tenant string) []string {
	peers := s.mutual(tenant)
	return slices.DeleteFunc(peers, func(peer string) bool { _, agreed := s.agreement(tenant, peer); return !agreed })
}

// PeersNear are PeersOf, and those that were or may have been among them before the last batch; sorted.
func (s *State) PeersNear(tenant string) []string {
	peers := append(s.mutual(tenant), slices.Collect(maps.Keys(s.former.peers.sets[tenant]))...)
	slices.Sort(peers)
	return slices.Compact(peers)
}

// mutual are the tenants that speak of a tenant and that it speaks of, whichever tenants of those names they
// mean; sorted.
func (s *State) mutual(tenant string) (peers []string) {
	for peer := range s.peerings.with.sets[tenant] {
		if s.Peering(tenant, peer) != nil && s.Peering(peer, tenant) != nil {
			peers = append(peers, peer)
		}
	}
	slices.Sort(peers)
	return peers
}

// Means reports whether both tenants that a word is about are those that are there now.
func (s *State) Means(p *Item[Peering]) bool {
	tenant, peer := s.Tenant(p.Key.Tenant), s.Tenant(p.Key.Name)
	return tenant != nil && peer != nil && tenant.Created == p.Value.TenantCreated && peer.Created == p.Value.PeerCreated
}

// agreement is what two tenants say of each other, as seen by one of them.
type agreement struct{ own, others *Item[Peering] }

// agreement is that of two tenants; false: one of them does not agree.
func (s *State) agreement(tenant, peer string) (agreement, bool) {
	a := agreement{s.Peering(tenant, peer), s.Peering(peer, tenant)}
	return a, tenant != peer && a.own != nil && a.others != nil && s.Means(a.own) && s.Means(a.others)
}

// turned is the agreement as the other sees it.
func (a agreement) turned() agreement { return agreement{a.others, a.own} }

// joins reports whether both want a network of the one and one of the other to reach each other.
func (a agreement) joins(network, others string) bool {
	return a.own.Value.joins(network, others) && a.others.Value.joins(others, network)
}

// since is the create revision of the word that made it an agreement.
func (a agreement) since() Revision { return max(a.own.Created, a.others.Created) }

// older reports whether an agreement was there before another: of two that are in each other's way it stands.
func (a agreement) older(b agreement) bool {
	return cmp.Or(cmp.Compare(a.since(), b.since()), compareKeys(a.smaller(), b.smaller())) < 0
}

// smaller is one of the agreement's two keys, whoever looks.
func (a agreement) smaller() Key {
	if compareKeys(a.own.Key, a.others.Key) < 0 {
		return a.own.Key
	}
	return a.others.Key
}

// Crosses reports whether frames of a network may enter one of another tenant, and those of that one this
// one: both tenants agreed, and nothing is in the way.
func (s *State) Crosses(from, to NetworkName) bool {
	a, agreed := s.agreement(from.Tenant, to.Tenant)
	one, other := s.Network(from), s.Network(to)
	return agreed && one != nil && other != nil && a.joins(from.Network, to.Network) && s.obstacle(a, one, other) == nil
}

// Obstacle is why two networks do not reach each other, though their tenants agreed that they do.
type Obstacle struct {
	One, Other NetworkName
	Text       string
	Third      string // a tenant besides the two that Text names; empty: it names none
}

// Words are Text for somebody who is not told of other tenants than the two and knows reports.
func (o *Obstacle) Words(knows func(tenant string) bool) string {
	if o.Third == "" || knows(o.Third) {
		return o.Text
	}
	return fmt.Sprintf("networks %s and %s: another peering of one of the tenants has overlapping subnets: peer other networks, or end one peering", o.One, o.Other)
}

// Obstacles are those between the networks of two tenants that agreed, and how many pairs of networks reach
// each other. false: they have not agreed.
func (s *State) Obstacles(tenant, peer string) (list []Obstacle, pairs int, agreed bool) {
	a, agreed := s.agreement(tenant, peer)
	if !agreed {
		return nil, 0, false
	}
	list, pairs = s.obstacles(a)
	return list, pairs, true
}

func (s *State) obstacles(a agreement) (list []Obstacle, pairs int) {
	for one := range s.NetworksOf(a.own.Key.Tenant) {
		for other := range s.NetworksOf(a.others.Key.Tenant) {
			if !a.joins(one.Key.Network, other.Key.Network) {
				continue
			}
			if o := s.obstacle(a, one, other); o != nil {
				list = append(list, *o)
			} else {
				pairs++
			}
		}
	}
	return list, pairs
}

// obstacle is what keeps two networks of an agreement apart; nil: nothing does.
func (s *State) obstacle(a agreement, one, other *Item[Network]) *Obstacle {
	o := s.ambiguous(a, one, other)
	if o == nil {
		o = s.ambiguous(a.turned(), other, one)
	}
	if o == nil && !slices.ContainsFunc(one.Value.Subnets, func(t Subnet) bool {
		return slices.ContainsFunc(other.Value.Subnets, func(u Subnet) bool { return t.Prefix.Addr().Is4() == u.Prefix.Addr().Is4() })
	}) {
		o = &Obstacle{Text: fmt.Sprintf("networks %s and %s have no address family in common: give both IPv4 or IPv6",
			one.Key.NetworkName(), other.Key.NetworkName())}
	}
	if o != nil {
		o.One, o.Other = one.Key.NetworkName(), other.Key.NetworkName()
	}
	return o
}

// ambiguous is an obstacle where an address of the network to may be another's, as seen from the network
// from: of a network of the same tenant, or of one that it reaches by an older agreement.
func (s *State) ambiguous(a agreement, from, to *Item[Network]) *Obstacle {
	for n := range s.NetworksOf(from.Key.Tenant) {
		if mine, theirs, overlap := overlapping(n.Value, to.Value); overlap {
			return &Obstacle{Text: fmt.Sprintf("subnet %s of network %s overlaps subnet %s of network %s: peer other networks, or give one of them another subnet",
				mine.Prefix, n.Key.NetworkName(), theirs.Prefix, to.Key.NetworkName())}
		}
	}
	for _, third := range s.PeersOf(from.Key.Tenant) {
		b, _ := s.agreement(from.Key.Tenant, third)
		if third == to.Key.Tenant || !b.older(a) {
			continue
		}
		for n := range s.NetworksOf(third) {
			mine, theirs, overlap := overlapping(n.Value, to.Value)
			if overlap && b.joins(from.Key.Network, n.Key.Network) {
				return &Obstacle{Third: third, Text: fmt.Sprintf("subnet %s of network %s overlaps subnet %s of network %s, which network %s is peered with longer: peer other networks, or end one peering",
					theirs.Prefix, to.Key.NetworkName(), mine.Prefix, n.Key.NetworkName(), from.Key.NetworkName())}
			}
		}
	}
	return nil
}

// overlapping are two subnets, one of each network, that have an address in common.
func overlapping(one, other *Network) (a, b Subnet, overlap bool) {
	for _, a := range one.Subnets {
		for _, b := range other.Subnets {
			if a.Prefix.Overlaps(b.Prefix) {
				return a, b, true
			}
		}
	}
	return a, b, false
}
