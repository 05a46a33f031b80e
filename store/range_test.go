package store

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAddressRanges(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.1-10.0.0.20": "10.0.0.1-10.0.0.20", "10.0.0.5": "10.0.0.5", "10.0.0.5-10.0.0.5": "10.0.0.5",
		"10.0.0.64/26": "10.0.0.64-10.0.0.127", "10.0.0.70/26": "10.0.0.64-10.0.0.127", "fd00::-fd00::ffff": "fd00::-fd00::ffff",
	} {
		r, err := ParseAddressRange(text)
		if err != nil || r.String() != want {
			t.Errorf("%s: %s, %v; want %s", text, r, err, want)
		}
	}
	for text, says := range map[string]string{
		"": "is no range", "10.0.0.1-": "is no range", "10.0.0.1-fd00::1": "is no range", "fe80::1%eth0": "is no range",
		"10.0.0.9-10.0.0.1": "did you mean 10.0.0.1-10.0.0.9?",
	} {
		if _, err := ParseAddressRange(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", text, err, says)
		}
	}
}

func addressRange(text string) AddressRange {
	r, err := ParseAddressRange(text)
	if err != nil {
		panic(err)
	}
	return r
}

// What a port may be given of a subnet is what a walk over all of it finds.
func TestExcludedAddressesAreNotChosen(t *testing.T) {
	for _, prefix := range prefixes("10.1.2.0/26", "fd00::ffff:ffff:ffff:ff80/122") {
		first, _ := UsableRange(prefix)
		at := func() netip.Addr { return UsableAt(prefix, rand.Uint64N(UsableCount(prefix))) }
		for range 300 {
			s := Subnet{Prefix: prefix, Gateway: at()}
			var excluded []AddressRange
			for range rand.IntN(4) {
				a, b := at(), at()
				if b.Less(a) {
					a, b = b, a
				}
				excluded = append(excluded, AddressRange{a, b})
			}
			excluded = append(excluded, addressRange("192.0.2.1"), AddressRange{prefix.Addr(), first}) // beyond it, and its network's address
			want := map[string]bool{}
			for a := first; Usable(prefix, a); a = a.Next() {
				if s.chooses(a, excluded) {
					want[a.String()] = true
				}
			}
			got, space := map[string]bool{}, Addresses(s, excluded)
			for n := range space.Count {
				if a := space.At(n); a != "" {
					got[a] = true
				}
			}
			if diff := cmp.Diff(want, got); diff != "" || s.Choosable(excluded) != uint64(len(want)) {
				t.Fatalf("%s without %v: %d choosable (-want +got):\n%s", prefix, excluded, s.Choosable(excluded), diff)
			}
		}
	}
}

// An exclusion that is nearly all of a large subnet leaves the rest, and costs no walk.
func TestExcludedFromALargeSubnet(t *testing.T) {
	for prefix, r := range map[string]string{"fd00::/64": "fd00::1-fd00::ffff:ffff:ffff:fff0", "fd00::/48": "fd00::1-fd00:0:0:1::"} {
		s := Subnet{Prefix: netip.MustParsePrefix(prefix), Gateway: netip.MustParseAddr("fd00::1")}
		n := s.Choosable([]AddressRange{addressRange(r)})
		if want := map[string]uint64{"fd00::/64": 15, "fd00::/48": 0}[prefix]; n != want {
			t.Errorf("%s without %s: %d addresses, want %d", prefix, r, n, want)
		}
	}
}

func TestValidateExclude(t *testing.T) {
	subnets := []Subnet{{netip.MustParsePrefix("10.0.0.0/29"), netip.MustParseAddr("10.0.0.1")}, {netip.MustParsePrefix("fd00::/64"), netip.MustParseAddr("fd00::1")}}
	for text, says := range map[string]string{
		"":                              "",
		"10.0.0.2-10.0.0.5,fd00::/120":  "",
		"10.0.0.2-10.0.0.6":             "leaves no address of subnet 10.0.0.0/29",
		"10.0.0.1-10.0.0.3,10.0.0.4/30": "leaves no address of subnet 10.0.0.0/29",
		"10.0.1.2-10.0.1.5":             "range 10.0.1.2-10.0.1.5 to exclude is in no subnet",
		"10.0.0.5-10.0.0.9":             "is in no subnet",
		strings.Repeat("fd00::9,", 65):  "65 ranges",
	} {
		var ranges []AddressRange
		for _, one := range strings.Split(strings.TrimSuffix(text, ","), ",") {
			if one != "" {
				ranges = append(ranges, addressRange(one))
			}
		}
		err := ValidateExclude(ranges, subnets)
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%.40s: %v, want %q", text, err, says)
		}
	}
}

func TestProposeExclude(t *testing.T) {
	spec := NetworkSpec{Tenant: "alice", Name: "db", Subnets: prefixes("10.9.0.0/29"), Exclude: []AddressRange{addressRange("10.9.0.2-10.9.0.4")}}
	p, err := spec.Propose(cluster())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(spec.Exclude, p.Writes[0].Object.(*Network).Exclude, comparers...); diff != "" {
		t.Error(diff)
	}
	spec.Exclude = []AddressRange{addressRange("10.9.0.2-10.9.0.6")}
	if _, err := spec.Propose(cluster()); !errors.Is(err, ErrInvalid) {
		t.Errorf("a network without an address for ports: %v", err)
	}
	if _, err := (TenantSpec{Name: "carol", Subnets: prefixes("10.9.0.0/29"), Exclude: spec.Exclude}).Propose(cluster()); !errors.Is(err, ErrInvalid) {
		t.Errorf("a tenant of such a network: %v", err)
	}
}

func TestAddressUse(t *testing.T) {
	s, name := NewState(), NetworkName{"alice", "default"}
	subnet := Subnet{netip.MustParsePrefix("10.0.0.0/29"), netip.MustParseAddr("10.0.0.1")}
	port := func(name, address string) Event {
		return Event{Key: PortKey("h1", "alice", "default", name), Created: 2, Modified: 2, Object: &Port{UID: name, Addresses: prefixes(address)}}
	}
	s.Apply(Batch{Revision: 2, Events: []Event{
		{Key: NetworkKey("alice", "default"), Created: 1, Modified: 1, Object: &Network{Subnets: []Subnet{subnet, {netip.MustParsePrefix("fd00::/64"), netip.MustParseAddr("fd00::1")}}, Exclude: []AddressRange{addressRange("10.0.0.2")}}},
		port("a1", "10.0.0.2/29"), port("a2", "10.0.0.3/29"),
	}})
	want := []SubnetUse{
		{Subnet: subnet.Prefix, InUse: 2, Free: 3, Next: netip.MustParseAddr("10.0.0.4")},
		{Subnet: netip.MustParsePrefix("fd00::/64"), Free: 1 << 53, Next: netip.MustParseAddr("fd00::2")},
	}
	if diff := cmp.Diff(want, s.AddressUse(s.Network(name)), comparers...); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	s.Apply(Batch{Revision: 3, Events: []Event{port("a3", "10.0.0.4/29"), port("a5", "10.0.0.6/29"),
		{Key: StickyKey("h1", "alice", "default", "a6"), Object: &Sticky{Addresses: prefixes("10.0.0.4/29")}}, // by a hand edit
		{Key: StickyKey("h1", "alice", "default", "a4"), Object: &Sticky{Addresses: prefixes("10.0.0.5/29", "fd00::2/64")}},
		{Key: StickyKey("h1", "alice", "web", "a4"), Object: &Sticky{Addresses: prefixes("10.0.0.3/29")}}}})
	want[0] = SubnetUse{Subnet: subnet.Prefix, InUse: 4, Sticky: 1}
	want[1].Sticky, want[1].Next = 1, netip.MustParseAddr("fd00::3")
	if diff := cmp.Diff(want, s.AddressUse(s.Network(name)), comparers...); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
