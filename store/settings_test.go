package store

import (
	"net/netip"
	"testing"
)

func settings(s *State, transit string) *State {
	s.Apply(Batch{Revision: s.Revision() + 1, Events: []Event{
		{Key: SettingsKey(), Object: &Settings{Transit: netip.MustParsePrefix(transit)}, Created: 2, Modified: 12},
	}})
	return s
}

func TestTransit(t *testing.T) {
	for _, c := range []struct{ prefix, first, last, kernel string }{
		{"100.64.0.0/10", "100.64.0.1", "100.64.127.255", "100.127.255.254"},
		{"198.18.0.0/15", "198.18.0.1", "198.18.127.255", "198.19.255.254"},
		{"172.20.0.0/16", "172.20.0.1", "172.20.127.255", "172.20.255.254"},
		{"10.0.0.0/8", "10.0.0.1", "10.0.127.255", "10.255.255.254"},
	} {
		transit := settings(NewState(), c.prefix).Transit()
		got := []netip.Addr{transit.Address(1), transit.Address(MaxSlot), transit.Kernel()}
		want := []netip.Addr{netip.MustParseAddr(c.first), netip.MustParseAddr(c.last), netip.MustParseAddr(c.kernel)}
		for i := range want {
			if got[i] != want[i] || !transit.Contains(got[i]) {
				t.Errorf("%s: %s, want %s", c.prefix, got[i], want[i])
			}
		}
	}
	for _, s := range []*State{NewState(), settings(NewState(), "10.0.0.0/24")} { // none, and one that cannot be
		if s.Transit() != DefaultTransit {
			t.Errorf("the transit range is %s, want the default", s.Transit())
		}
	}
}

func TestValidateTransit(t *testing.T) {
	for prefix, says := range map[string]string{
		"100.64.0.0/10": "", "198.18.0.0/15": "", "172.20.0.0/16": "", "10.0.0.0/8": "",
		"172.20.0.0/17": "16 at most", "4.0.0.0/7": "8 at least", "fd00::/16": "not an IPv4 prefix",
		"100.64.0.1/10": "did you mean 100.64.0.0/10?", "127.0.0.0/8": "loopback", "169.254.0.0/16": "link-local",
		"224.0.0.0/8": "multicast", "240.0.0.0/8": "reserved",
	} {
		verdict(t, prefix, ValidateTransit(netip.MustParsePrefix(prefix)), says)
	}
	verdict(t, "none", ValidateTransit(netip.Prefix{}), "not an IPv4 prefix")
}

func TestProposeTransit(t *testing.T) {
	other := netip.MustParsePrefix("198.18.0.0/15")
	p, err := ProposeTransit(NewState(), other)
	proposed(t, "the first", p, err, Proposal{
		Writes: []Event{{Key: SettingsKey(), Object: &Settings{Transit: other}}},
		Presumes: []Presumption{
			{Condition: Unchanged, Path: SettingsKey().String()},
			{Condition: NoneUnder, Path: Under(KindTenant), InUse: p.Presumes[1].InUse},
		},
	})
	p, err = ProposeTransit(settings(NewState(), "172.20.0.0/16"), other)
	proposed(t, "another", p, err, Proposal{
		Writes: []Event{{Key: SettingsKey(), Object: &Settings{Transit: other}}},
		Presumes: []Presumption{
			{Condition: Unchanged, Path: SettingsKey().String(), Revision: 12},
			{Condition: NoneUnder, Path: Under(KindTenant), InUse: p.Presumes[1].InUse},
		},
	})
	for name, s := range map[string]*State{"the default": NewState(), "the same, with tenants": settings(cluster(), "100.64.0.0/10")} {
		p, err = ProposeTransit(s, DefaultTransit.Prefix)
		proposed(t, name, p, err, Proposal{})
	}
	p, err = ProposeTransit(cluster(), other)
	refused(t, "with tenants", p, err, ErrInUse,
		"in use: 1 tenants have addresses in 100.64.0.0/10: delete them first, or leave it")
	p, err = ProposeTransit(NewState(), netip.MustParsePrefix("10.0.0.0/24"))
	refused(t, "too small", p, err, ErrInvalid, "invalid: transit range 10.0.0.0/24 has no room for 32767 tenants: its length may be 16 at most")
}

// A subnet may be where no transit range is, and nowhere else.
func TestSubnetsAndTransit(t *testing.T) {
	for _, c := range []struct{ transit, subnet, says string }{
		{"100.64.0.0/10", "100.64.1.0/24", "subnet 100.64.1.0/24 overlaps 100.64.0.0/10, the transit range"},
		{"198.18.0.0/15", "100.64.1.0/24", ""},
		{"198.18.0.0/15", "198.18.7.0/24", "the transit range"},
	} {
		s := settings(cluster(), c.transit)
		_, err := TenantSpec{Name: "carol", Segmentation: SegmentationTunnel, Subnets: prefixes(c.subnet)}.Propose(s)
		verdict(t, "tenant in "+c.subnet, err, c.says)
		_, err = NetworkSpec{Tenant: "alice", Name: "db", Subnets: prefixes(c.subnet)}.Propose(s)
		verdict(t, "network in "+c.subnet, err, c.says)
	}
}
