package store

import (
	"errors"
	"net/netip"
	"testing"
	"time"
)

// refused checks a refusal's kind and its whole text, and that nothing is proposed with it.
func refused(t *testing.T, name string, p Proposal, err, want error, text string) {
	t.Helper()
	if !errors.Is(err, want) || err.Error() != text {
		t.Errorf("%s:\ngot  %v\nwant %s", name, err, text)
	}
	if len(p.Writes)+len(p.Draws)+len(p.Frees)+len(p.Presumes) > 0 {
		t.Errorf("%s: refused, and proposed: %+v", name, p)
	}
}

func TestTenantSpecRefusals(t *testing.T) {
	for name, tc := range map[string]struct {
		spec TenantSpec
		want error
		text string
	}{
		"name": {TenantSpec{Name: "Al"}, ErrInvalid,
			`tenant: invalid: name "Al" is not a DNS label: use 1 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends`},
		"limit": {TenantSpec{Name: "bob", Limits: Limits{Ports: -1}}, ErrInvalid, "tenant bob: invalid: a limit of -1 ports is negative"},
		"again": {TenantSpec{Name: "alice"}, ErrExists, "exists already: choose another name"},
		"allowed host": {TenantSpec{Name: "bob", Hosts: []string{"h2", "h8"}}, ErrNotFound,
			`host "h8": not found: no such host is registered: see sluice host list`},
		"gateway host": {TenantSpec{Name: "bob", Gateway: "h9"}, ErrNotFound,
			`host "h9": not found: no such host is registered: see sluice host list`},
		"not a gateway": {TenantSpec{Name: "bob", Hosts: []string{"h1"}, Gateway: "h2"}, ErrInvalid,
			"host h2: invalid: it is no gateway host: its agent runs without --gateway: start it with that"},
		"segmentation": {TenantSpec{Name: "bob", Segmentation: "mpls"}, ErrInvalid,
			`invalid: segmentation "mpls" is neither "vlan" nor "tunnel"`},
		"overlap": {TenantSpec{Name: "bob", Subnets: prefixes("10.0.0.0/16", "10.0.3.0/24")}, ErrInvalid,
			"invalid: subnets 10.0.0.0/16 and 10.0.3.0/24 overlap"},
		"infrastructure": {TenantSpec{Name: "bob", Subnets: prefixes("172.16.0.0/12")}, ErrInvalid,
			"invalid: subnet 172.16.0.0/12 overlaps 172.30.0.0/24, the infrastructure of host h1"},
	} {
		p, err := tc.spec.Propose(cluster())
		refused(t, name, p, err, tc.want, tc.text)
	}
	h2 := cluster()
	h2.Apply(Batch{Revision: 21, Events: []Event{{Key: HostKey("h2"), Object: &Host{NoGateway: "its routes overlap: remove them"}, Created: 5, Modified: 21}}})
	p, err := TenantSpec{Name: "bob", Gateway: "h2"}.Propose(h2)
	refused(t, "a gateway that cannot be", p, err, ErrInvalid, "host h2: invalid: it is no gateway host: its routes overlap: remove them")
	s := NewState() // where a tenant's delete left its network behind
	s.Apply(Batch{Revision: 1, Events: []Event{{Key: NetworkKey("bob", "default"), Object: &Network{}}}})
	p, err = TenantSpec{Name: "bob"}.Propose(s)
	refused(t, "network left", p, err, ErrExists, "exists already: choose another name")
}

func TestNetworkSpecRefusals(t *testing.T) {
	spec := func(name string, subnets ...string) NetworkSpec {
		return NetworkSpec{Tenant: "alice", Name: name, Subnets: prefixes(subnets...)}
	}
	with := func(change func(*NetworkSpec)) NetworkSpec {
		s := spec("x", "10.2.0.0/24")
		change(&s)
		return s
	}
	for name, tc := range map[string]struct {
		spec NetworkSpec
		want error
		text string
	}{
		"no tenant": {with(func(s *NetworkSpec) { s.Tenant = "bob" }), ErrNotFound, `tenant "bob": not found: no such tenant: see sluice tenant list`},
		"again":     {spec("web", "10.2.0.0/24"), ErrExists, "exists already: choose another name"},
		"no subnet": {spec("x"), ErrInvalid, "invalid: it has no subnet"},
		"name":      {spec("-", "10.2.0.0/24"), ErrInvalid, `invalid: name "-" is not a DNS label: use 1 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends`},
		"segmentation": {with(func(s *NetworkSpec) { s.Segmentation = "mpls" }), ErrInvalid,
			`invalid: segmentation "mpls" is neither "vlan" nor "tunnel"`},
		"flood": {with(func(s *NetworkSpec) { s.Flood = "maybe" }), ErrInvalid, `invalid: flood mode "maybe" is none of "auto", "on", "off"`},
		"overlap": {spec("x", "10.1.0.128/25"), ErrInvalid,
			"invalid: subnet 10.1.0.128/25 overlaps 10.1.0.0/24, a subnet of network alice/web"},
		"overlap v6": {spec("x", "fd00::/48"), ErrInvalid,
			"invalid: subnet fd00::/48 overlaps fd00::/64, a subnet of network alice/default"},
		"infrastructure": {spec("x", "172.30.0.0/28"), ErrInvalid,
			"invalid: subnet 172.30.0.0/28 overlaps 172.30.0.0/24, the infrastructure of host h1"},
		"MTU": {with(func(s *NetworkSpec) { s.MTU = 500 }), ErrInvalid, "invalid: MTU 500 is not between 576 and 9216 (0: derived from the underlay)"},
		"gateway unusable": {with(func(s *NetworkSpec) { s.Gateways = []netip.Addr{netip.MustParseAddr("10.2.0.255")} }), ErrInvalid,
			"invalid: gateway 10.2.0.255 is not a usable address of subnet 10.2.0.0/24: choose one from 10.2.0.1 to 10.2.0.254"},
		"gateway elsewhere": {with(func(s *NetworkSpec) { s.Gateways = []netip.Addr{netip.MustParseAddr("10.9.0.1")} }), ErrInvalid,
			"invalid: a gateway of [10.9.0.1] is in none of the subnets"},
	} {
		p, err := tc.spec.Propose(cluster())
		refused(t, name, p, err, tc.want, tc.text)
	}
}

func TestPortSpecRefusals(t *testing.T) {
	with := func(change func(*PortSpec)) PortSpec {
		s := PortSpec{Host: "h1", Tenant: "alice", Network: "default", Name: "a2", UID: "bbbbbbbbbbbb"}
		change(&s)
		return s
	}
	address := func(texts ...string) PortSpec {
		return with(func(s *PortSpec) {
			for _, text := range texts {
				s.Addresses = append(s.Addresses, netip.MustParseAddr(text))
			}
		})
	}
	for name, tc := range map[string]struct {
		spec PortSpec
		want error
		text string
	}{
		"name": {with(func(s *PortSpec) { s.Name = "a/b" }), ErrInvalid,
			`invalid: name "a/b" is not a DNS label: use 1 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends`},
		"uid":        {with(func(s *PortSpec) { s.UID = "x" }), ErrInvalid, `invalid: uid "x" is not 12 characters of lower-case base 32 (a-z, 2-7)`},
		"MAC":        {with(func(s *PortSpec) { s.MAC = RouterMAC }), ErrInvalid, "invalid: MAC 02:00:5e:00:01:01 is reserved: Sluice's own routers use 02:00:5e:00:01:xx"},
		"other UID":  {with(func(s *PortSpec) { s.Name = "a1" }), ErrExists, "exists already"},
		"no tenant":  {with(func(s *PortSpec) { s.Tenant = "bob" }), ErrNotFound, `tenant "bob": not found: no such tenant: see sluice tenant list`},
		"no network": {with(func(s *PortSpec) { s.Network = "db" }), ErrNotFound, "network alice/db: not found: no such network: see sluice network list"},
		"no host":    {with(func(s *PortSpec) { s.Host = "h9" }), ErrNotFound, `host "h9": not found: no such host is registered: see sluice host list`},
		"host gone":  {with(func(s *PortSpec) { s.Host, s.HostCreated = "h9", 3 }), ErrHostGone, "host h9: host deleted: register it again"},
		"host anew":  {with(func(s *PortSpec) { s.HostCreated = 2 }), ErrHostGone, "host h1: host deleted: register it again"},
		"not allowed": {with(func(s *PortSpec) { s.Host = "h2" }), ErrNotAllowed,
			"host h2: not allowed: tenant alice may use only h1, h9"},
		"no subnet's": {address("10.9.0.1"), ErrInvalid, "address 10.9.0.1: invalid: it is in no subnet of network alice/default"},
		"router's": {address("10.0.0.1"), ErrInvalid,
			"address 10.0.0.1: invalid: ports of subnet 10.0.0.0/24 may have 10.0.0.1 to 10.0.0.254 but the router's 10.0.0.1"},
		"one of two": {address("fd00::5", "10.9.0.1"), ErrInvalid, "address 10.9.0.1: invalid: it is in no subnet of network alice/default"},
		"two of one subnet": {address("10.0.0.8", "fd00::5", "10.0.0.9"), ErrInvalid,
			"addresses 10.0.0.8 and 10.0.0.9: invalid: a port has one address of a subnet, and both are of 10.0.0.0/24"},
		"broadcast": {address("10.0.0.255"), ErrInvalid,
			"address 10.0.0.255: invalid: ports of subnet 10.0.0.0/24 may have 10.0.0.1 to 10.0.0.254 but the router's 10.0.0.1"},
	} {
		p, err := tc.spec.Propose(cluster(), 1)
		refused(t, name, p, err, tc.want, tc.text)
	}
	p, err := with(func(*PortSpec) {}).Propose(cluster(), 2)
	refused(t, "limit", p, err, ErrLimit, "tenant alice: limit reached: it may have 2 ports: detach some or raise the limit")
}

func TestDeleteRefusals(t *testing.T) {
	for _, tc := range []struct {
		key  Key
		want error
		text string
	}{
		{TenantKey("bob"), ErrNotFound, "not found: no such tenant: see sluice tenant list"},
		{NetworkKey("alice", "db"), ErrNotFound, "not found: no such network: see sluice network list"},
		{HostKey("h9"), ErrNotFound, "not found: no such host: see sluice host list"},
		{PortKey("h1", "alice", "web", "a1"), ErrNotFound, "not found: no such port: see sluice port list"},
		{StatusHostKey("h1"), ErrNotFound, "not found: no such exception of a host: see sluice exception of a host list"},
		{Key{Kind: "else", Name: "x"}, ErrNotFound, "not found: no such : see sluice  list"},
		{TenantKey("alice"), ErrInUse, `in use: it has network alice/web: delete its networks but "default" first`},
		{NetworkKey("alice", "default"), ErrInUse, "in use: it has ports alice/default/a1: detach them first, and delete what is sticky"},
	} {
		p, err := ProposeDelete(cluster(), tc.key)
		refused(t, tc.key.String(), p, err, tc.want, tc.text)
	}
	p, err := ProposeDeletePort(cluster(), TenantKey("alice"), 0)
	refused(t, "no port's key", p, err, ErrInvalid, "invalid: it is no port's key")
	p, err = ProposeDeletePort(cluster(), PortKey("h1", "alice", "web", "a1"), 3)
	refused(t, "no port", p, err, ErrNotFound, "not found: no such port: see sluice port list")
	p, err = ProposeDeleteHost(cluster(), "h9", 0, time.Time{})
	refused(t, "no host", p, err, ErrNotFound, "not found: no such host: see sluice host list")
}

// The refusal names three users, the first by name, and counts the others.
func TestManyUsers(t *testing.T) {
	s := cluster()
	for n, name := range []string{"c5", "b2", "b3", "b4"} {
		s.Apply(Batch{Revision: 21, Events: []Event{{Key: PortKey("h2", "alice", "default", name), Object: &Port{Number: uint32(n + 10), MAC: MAC{2, 2, byte(n)}}}}})
	}
	s.Apply(Batch{Revision: 22, Events: []Event{{Key: PortKey("h2", "alice", "web", "b1"), Object: &Port{Number: 20}}}})
	p, err := ProposeDelete(s, NetworkKey("alice", "default"))
	refused(t, "network", p, err, ErrInUse, "in use: it has ports alice/default/a1, alice/default/b2, alice/default/b3 and 2 more: detach them first, and delete what is sticky")
	s.Apply(Batch{Revision: 23, Events: []Event{{Key: PortKey("h2", "alice", "default", "c5")}, {Key: PortKey("h2", "alice", "default", "b4")}}})
	p, err = ProposeDelete(s, NetworkKey("alice", "default"))
	refused(t, "network", p, err, ErrInUse, "in use: it has ports alice/default/a1, alice/default/b2, alice/default/b3: detach them first, and delete what is sticky")
}
