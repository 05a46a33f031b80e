package store

import (
	"fmt"
	"net/netip"
	"strings"
)

// MaxExclude bounds the ranges that a network excludes.
const MaxExclude = 64

// ValidateExclude refuses ranges to exclude that no subnet has, or that leave a subnet nothing to choose.
func ValidateExclude(ranges []AddressRange, subnets []Subnet) error {
	if len(ranges) > MaxExclude {
		return fmt.Errorf("%d ranges to exclude are more than the %d that a network may have", len(ranges), MaxExclude)
	}
	for _, r := range ranges {
		if !inOneOf(r, subnets) {
			return fmt.Errorf("range %s to exclude is in no subnet of the network", r)
		}
	}
	for _, s := range subnets {
		if len(ranges) > 0 && s.Choosable(ranges) == 0 {
			return fmt.Errorf("what is excluded leaves no address of subnet %s for ports", s.Prefix)
		}
	}
	return nil
}

func inOneOf(r AddressRange, subnets []Subnet) bool {
	for _, s := range subnets {
		if s.Prefix.Contains(r.First) && s.Prefix.Contains(r.Last) {
			return true
		}
	}
	return false
}

// Choosable is how many addresses of a subnet ports may be given that ask for none.
func (s Subnet) Choosable(excluded []AddressRange) uint64 {
	count := Addresses(s, excluded).Count
	if s.offered(s.Gateway, excluded) {
		count--
	}
	return count
}

// offered reports whether an address is usable and not excluded.
func (s Subnet) offered(a netip.Addr, excluded []AddressRange) bool {
	for _, r := range excluded {
		if r.Contains(a) {
			return false
		}
	}
	return Usable(s.Prefix, a)
}

// chooses reports whether a port that asks for no address may be given this one.
func (s Subnet) chooses(a netip.Addr, excluded []AddressRange) bool {
	return a != s.Gateway && s.offered(a, excluded)
}

// exhausted is the refusal where all addresses of a subnet that ports are given are taken.
func (s Subnet) exhausted(n NetworkName, excluded []AddressRange, u Counted) error {
	taken := fmt.Sprintf("%d by ports", u.InUse)
	todo := "detach ports"
	if u.Sticky > 0 {
		taken += fmt.Sprintf(", %d by names whose ports are gone (sluice sticky list)", u.Sticky)
		todo += ", delete what is sticky"
	}
	aside := fmt.Sprintf("; the router has %s", s.Gateway)
	if len(excluded) > 0 {
		texts := make([]string, len(excluded))
		for i, r := range excluded {
			texts[i] = r.String()
		}
		aside += ", and the network excludes " + strings.Join(texts, ", ") + ", which --ip may ask for"
	}
	return fmt.Errorf("addresses of subnet %s of network %s %w: all %d for ports are taken: %s%s: %s, or make a network with a larger subnet",
		s.Prefix, n, ErrExhausted, s.Choosable(excluded), taken, aside, todo)
}

// SubnetUse is what is left of a subnet's addresses.
type SubnetUse struct {
	Subnet netip.Prefix `json:"subnet"`
	// InUse are ports' addresses, those too that are excluded.
	InUse int `json:"inUse"`
	// Sticky are those of names whose ports are gone.
	Sticky int `json:"sticky,omitempty"`
	// Free is how many addresses ports that ask for none can be given; what is more is 2^53.
	Free uint64 `json:"free" maximum:"9007199254740992"`
	// Next is the first free one; a port is given any of them.
	Next netip.Addr `json:"next,omitzero"`
}

// mostFree is the largest whole number that JSON's readers keep: an IPv6 subnet has more addresses.
const mostFree = 1 << 53

// AddressUse is what is left of each of a network's subnets.
func (s *State) AddressUse(n *Item[Network]) []SubnetUse {
	taken := map[netip.Addr]bool{}
	for p := range s.PortsOf(n.Key.NetworkName()) {
		for _, a := range p.Value.Addresses {
			taken[a.Addr()] = true
		}
	}
	kept := map[netip.Addr]bool{}
	for i := range s.Stickies() {
		for _, a := range i.Value.Addresses {
			if i.Key.NetworkName() == n.Key.NetworkName() && !taken[a.Addr()] {
				kept[a.Addr()] = true
			}
		}
	}
	list := make([]SubnetUse, 0, len(n.Value.Subnets))
	for _, subnet := range n.Value.Subnets {
		list = append(list, subnet.use(n.Value.Exclude, taken, kept))
	}
	return list
}

// use counts the addresses of ports, and those that are kept for names.
func (s Subnet) use(excluded []AddressRange, taken, kept map[netip.Addr]bool) SubnetUse {
	use := SubnetUse{Subnet: s.Prefix, Free: s.Choosable(excluded)}
	for _, counted := range []struct {
		addresses map[netip.Addr]bool
		n         *int
	}{{taken, &use.InUse}, {kept, &use.Sticky}} {
		for a := range counted.addresses {
			if s.Prefix.Contains(a) {
				*counted.n++
			}
			if s.chooses(a, excluded) {
				use.Free--
			}
		}
	}
	use.Free = min(use.Free, mostFree)
	space := Addresses(s, excluded)
	for n := uint64(0); n < space.Count && use.Free > 0; n++ {
		if value := space.At(n); value != "" && !taken[addressOf(value)] && !kept[addressOf(value)] {
			use.Next = addressOf(value)
			break
		}
	}
	return use
}
