package store

import (
	"iter"
	"net/netip"
	"slices"
	"strings"
)

// KindSticky is {host}/{tenant}/{network}/{port}.
const KindSticky Kind = "stickies"

// StickyKey is the key of what stays with a port's name.
func StickyKey(host, tenant, network, port string) Key {
	return Key{Kind: KindSticky, Host: host, Tenant: tenant, Network: network, Name: port}
}

// stickyOf is the key of what would stay with the name of a port.
func stickyOf(port Key) Key { return StickyKey(port.Host, port.Tenant, port.Network, port.Name) }

// Sticky is what stays with the name of a port that is gone: the next port of that name on the host gets it.
// Until then the name is taken too.
type Sticky struct {
	MAC       MAC            `json:"mac"`
	Addresses []netip.Prefix `json:"addresses"` // with the subnet's length
}

// Kind is KindSticky.
func (*Sticky) Kind() Kind { return KindSticky }

// Stickiness says whether a port's MAC and addresses stay with its name when it goes.
type Stickiness string

// The ways in which a port is sticky.
const (
	NotSticky   Stickiness = ""
	StickyFirst Stickiness = "first" // they are the name's for the first time: an attach that fails leaves none
	StickyAgain Stickiness = "again" // they were the name's before
)

var stickyKind = &description[Key, Sticky, *Sticky]{
	facts: facts{
		label:  "sticky name",
		parts:  []part{partHost, partTenant, partNetwork, partName},
		writer: "the host's agent, when a sticky port goes; the API deletes it", reader: "controllers, the host's agent",
		hostReads: ownObjects, hostWrites: ownObjects,
	},
	table:   func(s *State) *table[Key, Sticky] { return &s.stickies },
	id:      func(k Key) Key { return k },
	uniques: []uniqueOf[Sticky]{&stickyName, &stickyMAC, &stickyAddress},
}

// What is a name's is taken as by its port. No flow speaks of it, so that State need not look who holds it.
var (
	stickyName = unique[scoped[string], *Item[Sticky], Sticky]{
		name: "name",
		value: func(i *Item[Sticky], _ int) (scoped[string], bool) {
			return scoped[string]{i.Key.NetworkName(), i.Key.Name}, true
		},
		dir: portName.dir,
	}
	stickyMAC = unique[scoped[MAC], *Item[Sticky], Sticky]{
		name: "MAC",
		value: func(i *Item[Sticky], _ int) (scoped[MAC], bool) {
			return scoped[MAC]{i.Key.NetworkName(), i.Value.MAC}, true
		},
		dir: portMAC.dir,
	}
	stickyAddress = unique[scoped[netip.Addr], *Item[Sticky], Sticky]{
		name: "address",
		value: func(i *Item[Sticky], n int) (scoped[netip.Addr], bool) {
			return scoped[netip.Addr]{i.Key.NetworkName(), i.Value.Addresses[n].Addr().Unmap()}, true
		},
		count: func(i *Item[Sticky]) int { return len(i.Value.Addresses) },
		dir:   portAddress.dir,
	}
)

// Sticky is what stays under a key, or nil.
func (s *State) Sticky(key Key) *Item[Sticky] { return s.stickies.items[key] }

// Stickies walks all that stays with names, sorted by key.
func (s *State) Stickies() iter.Seq[*Item[Sticky]] {
	return func(yield func(*Item[Sticky]) bool) {
		for _, e := range stickyKind.all(s) {
			if !yield(s.Sticky(e.Key)) {
				return
			}
		}
	}
}

// IsSticky reports whether an owner, as a key under alloc/ names it, is a name and no port.
func IsSticky(owner string) bool { return strings.HasPrefix(Prefix+owner, Under(KindSticky)) }

// leaveSticky leaves a port's name what the port took but its number, instead of freeing it.
func (p *Proposal) leaveSticky(port *Item[Port]) {
	key, stays := stickyOf(port.Key), &Sticky{MAC: port.Value.MAC, Addresses: port.Value.Addresses}
	p.Writes = append(p.Writes, Event{Key: key, Object: stays})
	for _, taken := range TakenBy(key, stays) {
		taken.Owner = port.Key
		p.Passes = append(p.Passes, Pass{Taken: taken, To: key})
		p.Frees = slices.DeleteFunc(p.Frees, func(freed Taken) bool { return freed.Key() == taken.Key() })
	}
}

// asSticky asks for what the port's name has, where the request asks for nothing else and the network still offers it.
func (s PortSpec) asSticky(mine *Item[Sticky], in *Network) PortSpec {
	if mine == nil {
		return s
	}
	if s.MAC.IsZero() {
		s.MAC = mine.Value.MAC
	}
	s.Addresses = slices.Clone(s.Addresses)
	for _, n := range in.Subnets {
		if slices.ContainsFunc(s.Addresses, n.Prefix.Contains) {
			continue
		}
		for _, has := range mine.Value.Addresses {
			if n.Offers(has.Addr()) {
				s.Addresses = append(s.Addresses, has.Addr())
				break
			}
		}
	}
	return s
}

// takeSticky takes from the port's name what the port draws, and frees the rest.
func (s PortSpec) takeSticky(p *Proposal, mine *Item[Sticky]) {
	presumed := Presumption{Condition: Unchanged, Path: stickyOf(s.Key()).String()}
	if mine != nil {
		presumed.Revision = mine.Modified
		p.Writes = append(p.Writes, Event{Key: mine.Key})
		for _, taken := range TakenBy(mine.Key, mine.Value) {
			at := slices.IndexFunc(p.Draws, func(d Draw) bool { return d.Value != "" && AllocKey(d.Dir, d.Value) == taken.Key() })
			if at < 0 {
				p.Frees = append(p.Frees, taken)
				continue
			}
			p.Draws[at].Former = mine.Key
		}
	}
	p.Presumes = append(p.Presumes, presumed)
}
