package flows

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// put applies one object as the next revision.
func put(s *store.State, k store.Key, o store.Object) {
	r := s.Revision() + 1
	s.Apply(store.Batch{Revision: r, Events: []store.Event{{Key: k, Object: o, Created: r, Modified: r}}})
}

func TestProblems(t *testing.T) {
	port := func(number uint32, mac byte, address string) *store.Port {
		return &store.Port{Number: number, MAC: store.MAC{2, 0, 0, 0, 0, mac}, Interface: fmt.Sprint("sl-", number, mac, address),
			Addresses: []netip.Prefix{netip.MustParsePrefix(address)}}
	}
	tests := []struct {
		about string
		key   store.Key
		value store.Object
		want  []string // what the problem names
	}{
		{"a port with another's MAC", store.PortKey("h1", "t0", "default", "x"), port(900, 0, "10.0.0.99/24"),
			[]string{"ports/h1/t0/default/x", "MAC 02:00:00:00:00:00 belongs to the older ports/h1/t0/default/p0"}},
		{"a port with another's address", store.PortKey("h1", "t0", "default", "x"), port(900, 9, "10.0.0.10/24"),
			[]string{"ports/h1/t0/default/x", "address 10.0.0.10"}},
		{"a port with another's number", store.PortKey("h1", "t1", "default", "x"), port(1, 9, "10.0.0.99/24"),
			[]string{"ports/h1/t1/default/x", "number 1 belongs to the older ports/h1/t0/default/p0"}},
		{"a network with another's number", store.NetworkKey("t0", "x"), &store.Network{Number: 2},
			[]string{"networks/t0/x", "number 2 belongs to the older networks/t1/default"}},
		{"a subnet that overlaps another's", store.NetworkKey("t0", "x"), &store.Network{Number: 77, Subnets: []store.Subnet{
			{Prefix: netip.MustParsePrefix("10.0.0.0/24"), Gateway: netip.MustParseAddr("10.0.0.1")}}},
			[]string{"networks/t0/x", "subnet 10.0.0.0/24 overlaps subnet 10.0.0.0/24 of network t0/default"}},
		{"a subnet inside another's", store.NetworkKey("t0", "x"), &store.Network{Number: 77, Subnets: []store.Subnet{
			{Prefix: netip.MustParsePrefix("10.0.0.128/25"), Gateway: netip.MustParseAddr("10.0.0.129")}}},
			[]string{"networks/t0/x", "subnet 10.0.0.128/25 overlaps subnet 10.0.0.0/24 of network t0/default"}},
		{"a subnet twice", store.NetworkKey("t0", "x"), &store.Network{Number: 77, Subnets: []store.Subnet{
			{Prefix: netip.MustParsePrefix("10.7.0.0/24"), Gateway: netip.MustParseAddr("10.7.0.1")},
			{Prefix: netip.MustParsePrefix("10.7.0.0/24"), Gateway: netip.MustParseAddr("10.7.0.2")}}},
			[]string{"networks/t0/x", "subnet 10.7.0.0/24 overlaps subnet 10.7.0.0/24 of network t0/x"}},
		{"a link-local subnet", store.NetworkKey("t0", "x"), &store.Network{Number: 77, Subnets: []store.Subnet{
			{Prefix: netip.MustParsePrefix("fe80::/64"), Gateway: netip.MustParseAddr("fe80::1")}}},
			[]string{"networks/t0/x", "subnet fe80::/64 overlaps fe80::/10, the link-local range"}},
		{"a tenant's number that stands for those beyond", store.TenantKey("t0"), &store.Tenant{Number: store.MaxTenantNumber + 1},
			[]string{"tenants/t0", "number 16777215 is not between 1 and 16777214"}},
		{"a tenant's number that no cookie can hold", store.TenantKey("t0"), &store.Tenant{Number: 1<<24 + 2},
			[]string{"tenants/t0", "number 16777218 is not between 1 and 16777214"}},
		{"the tunnel key of VLAN networks", store.NetworkKey("t0", "x"), &store.Network{Number: store.VLANTunnelKey},
			[]string{"networks/t0/x", "number 16777215 is not between"}},
		{"a VLAN id beyond 12 bits", store.NetworkKey("t0", "x"), &store.Network{Number: 77, Segmentation: store.SegmentationVLAN,
			Segment: 4096}, []string{"networks/t0/x", "VLAN id 4096"}},
		{"a subnet without its router", store.NetworkKey("t0", "x"), &store.Network{Number: 77, Subnets: []store.Subnet{
			{Prefix: netip.MustParsePrefix("10.7.0.0/24")}}}, []string{"networks/t0/x", "subnet 10.7.0.0/24 has no router"}},
		{"the router's MAC", store.PortKey("h1", "t0", "default", "x"), &store.Port{Number: 900, MAC: store.RouterMAC},
			[]string{"ports/h1/t0/default/x", "MAC 02:00:5e:00:01:01 is reserved"}},
		{"the router's address", store.PortKey("h1", "t0", "default", "x"), port(900, 9, "10.0.0.1/24"),
			[]string{"ports/h1/t0/default/x", "address 10.0.0.1/24 is none that its network has for ports"}},
		{"an address of no subnet", store.PortKey("h1", "t0", "default", "x"), port(900, 9, "10.1.0.9/24"),
			[]string{"ports/h1/t0/default/x", "address 10.1.0.9/24 is none"}},
		{"another's link-local address", store.PortKey("h1", "t0", "default", "x"), port(900, 9, store.MAC{2}.LinkLocal().String()+"/64"),
			[]string{"ports/h1/t0/default/x", "address fe80::ff:fe00:0/64 is none"}},
		{"another's interface", store.PortKey("h1", "t1", "default", "x"), &store.Port{Number: 900, MAC: store.MAC{2, 9},
			Interface: "sl-0-0"}, []string{"ports/h1/t1/default/x", "interface sl-0-0 belongs to the older ports/h1/t0/default/p0"}},
		{"a host that the tenant may not use", store.TenantKey("t0"), &store.Tenant{Number: 1, Hosts: []string{"h1"}},
			[]string{"ports/h2/t0/default/p1", "tenant t0 may not use host h2"}},
		{"the tunnel's interface", store.PortKey("h1", "t0", "default", "x"), &store.Port{Number: 900, MAC: store.MAC{2, 9},
			Interface: store.TunnelInterface}, []string{"ports/h1/t0/default/x", "interface sluice-tun is the host's own"}},
		{"an empty address", store.PortKey("h1", "t0", "default", "x"), &store.Port{Number: 900, MAC: store.MAC{2, 9},
			Addresses: []netip.Prefix{{}}}, []string{"ports/h1/t0/default/x", "address invalid Prefix is none"}},
		{"a number that stands for the gateway", store.PortKey("h1", "t0", "default", "x"), &store.Port{Number: gatewayPort,
			MAC: store.MAC{2, 9}}, []string{"ports/h1/t0/default/x", "number 4294967295 is reserved"}},
		{"another's datapath id", store.HostKey("h3"), &store.Host{DatapathID: 1},
			[]string{"hosts/h3", "datapath id 0000000000000001 belongs to the older hosts/h1"}},
		{"another's VTEP", store.HostKey("h3"), &store.Host{DatapathID: 3, VTEPs: []netip.Addr{netip.MustParseAddr("172.30.0.2")}},
			[]string{"hosts/h3", "VTEP 172.30.0.2 belongs to the older hosts/h2"}},
		{"a gateway host that has lost its VTEP", store.HostKey("h2"), &store.Host{DatapathID: 2},
			[]string{"tenants/t1", "gateway host h2 has no VTEP of its own"}},
		{"a gateway host that is gone", store.GatewayKey("t0"), &store.Gateway{Active: "h9"},
			[]string{"tenants/t0", "gateway host h9 is not registered"}},
	}
	for _, tt := range tests {
		t.Run(tt.about, func(t *testing.T) {
			s := manyTenants(3)
			sw := switchOf(s, "h1")
			if _, problems := compileHost(s, sw); len(problems) > 0 {
				t.Fatalf("problems before: %v", problems)
			}
			put(s, tt.key, tt.value)
			if p, ok := tt.value.(*store.Port); ok && sw.OFPort[p.Interface] == 0 {
				sw.OFPort[p.Interface] = 999
			}
			flows, problems := compileHost(s, sw)
			for _, f := range flows {
				if owner := Owner(s, f.Cookie); strings.HasPrefix(owner, "port") && strings.HasSuffix(owner, "/x") {
					t.Errorf("it has the flow %s", &f)
				}
			}
			if !slices.ContainsFunc(problems, func(p store.Problem) bool {
				return p.Object == tt.want[0] && strings.Contains(p.Text, tt.want[1])
			}) {
				t.Errorf("problems %v, want one of %s with %q", problems, tt.want[0], tt.want[1])
			}
		})
	}
}

// The kernel's own errors come from the tenant's first router of IPv4 that stands.
func TestRouterOfErrors(t *testing.T) {
	subnet := func(prefix, gateway string) store.Subnet {
		return store.Subnet{Prefix: netip.MustParsePrefix(prefix), Gateway: netip.MustParseAddr(gateway)}
	}
	for about, tt := range map[string]struct {
		subnets []store.Subnet // of a network before default, whose router is 10.0.0.1
		want    string
	}{
		"none":              {nil, "10.0.0.1"},
		"IPv6 alone":        {[]store.Subnet{subnet("fd00::/64", "fd00::1")}, "10.0.0.1"},
		"IPv6 and IPv4":     {[]store.Subnet{subnet("fd00::/64", "fd00::1"), subnet("10.7.0.0/24", "10.7.0.1")}, "10.7.0.1"},
		"one that overlaps": {[]store.Subnet{subnet("10.0.0.0/16", "10.0.0.7")}, "10.0.0.1"},
		"one without":       {[]store.Subnet{subnet("10.7.0.0/24", "10.8.0.1")}, "10.0.0.1"},
	} {
		s := manyTenants(1)
		put(s, store.NetworkKey("t0", "a"), &store.Network{Number: 77, Subnets: tt.subnets})
		var got []string
		Compile(s, switchOf(s, "h1"), tenantSlice(1), func(f of.Flow) {
			if f.Table == tableNATState {
				got = append(got, f.String())
			}
		})
		if len(got) != 1 || !strings.Contains(got[0], "set_field:"+tt.want+"->ip_src") {
			t.Errorf("%s: %q, want one from %s", about, got, tt.want)
		}
	}
}

// Without its gateway port a gateway host says so, and holds no NAT that leads nowhere.
func TestGatewayHostWithoutGatewayPort(t *testing.T) {
	s := manyTenants(1)
	sw := switchOf(s, "h1")
	delete(sw.OFPort, store.GatewayInterface)
	flows, problems := compileHost(s, sw)
	if len(problems) != 1 || !strings.Contains(problems[0].Text, "gateway host h1 has no interface sluice-gw") {
		t.Errorf("problems %v", problems)
	}
	for _, f := range flows {
		if f.Table == tableNAT && f.Priority > 0 {
			t.Errorf("it holds %s", &f)
		}
	}
}

// flood auto ends at 256 hosts, on at what a switch can copy.
func TestFloodEnds(t *testing.T) {
	tests := []struct {
		mode  store.FloodMode
		hosts int
		want  bool
	}{
		{store.FloodAuto, 256, true}, {store.FloodAuto, 257, false}, {store.FloodOn, 257, true},
		{store.FloodOn, 780, true}, {store.FloodOn, 781, false}, {store.FloodOff, 2, false},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.mode, tt.hosts), func(t *testing.T) {
			s := store.NewState()
			put(s, store.TenantKey("t"), &store.Tenant{Number: 1})
			put(s, store.NetworkKey("t", "n"), &store.Network{Number: 1, Flood: tt.mode})
			for i := range tt.hosts {
				host := fmt.Sprint("h", i)
				put(s, store.HostKey(host), &store.Host{VTEPs: []netip.Addr{netip.AddrFrom4([4]byte{172, 30, byte(i >> 8), byte(i)})}})
				put(s, store.PortKey(host, "t", "n", "p"), &store.Port{Number: uint32(i + 1), MAC: store.MACFromUint64(2<<40 + uint64(i)),
					Interface: fmt.Sprint("sl-", i)})
			}
			floods := 0
			problems := Compile(s, switchOf(s, "h0"), networkSlice(1, 1), func(f of.Flow) {
				if f.Table == tableForward {
					floods++
				}
			})
			if got := floods > 0; got != tt.want {
				t.Errorf("it floods: %t, want %t", got, tt.want)
			}
			if told := len(problems) > 0; told == tt.want && tt.mode != store.FloodOff {
				t.Errorf("problems: %v", problems)
			}
		})
	}
}

// A port on a host that its tenant may not use gets nothing of the tenant: no way leads to
// it, and no broadcast.
func TestHostsOfATenant(t *testing.T) {
	s := manyTenants(1)
	put(s, store.TenantKey("t0"), &store.Tenant{Number: 1, Hosts: []string{"h1"}})
	flows, _ := compileHost(s, switchOf(s, "h1"))
	for _, f := range flows {
		if text := f.String(); strings.Contains(text, "->tun_dst") {
			t.Errorf("%s", text)
		}
	}
}

// A port whose interface is not in the switch is listed, and nothing leads to it.
func TestMissing(t *testing.T) {
	s := manyTenants(1)
	sw := switchOf(s, "h1")
	delete(sw.OFPort, "sl-0-0")
	want := []store.Key{store.PortKey("h1", "t0", "default", "p0")}
	if got := Missing(s, sw); !slices.Equal(got, want) {
		t.Errorf("missing %v, want %v", got, want)
	}
	Compile(s, sw, portSlice(1, 1), func(f of.Flow) { t.Errorf("the missing port has the flow %s", &f) })
}

func TestOwner(t *testing.T) {
	s := manyTenants(2)
	tests := map[Slice]string{
		baseSlice():        "base",
		peerSlice("h2"):    "peer h2",
		tenantSlice(2):     "tenant t1",
		networkSlice(2, 2): "network t1/default",
		portSlice(2, 4):    "port t1/default/p1",
		portSlice(2, 99):   "unknown 0x500000200000063",
		0xabc:              "unknown 0xabc",
	}
	for sl, want := range tests {
		if got := Owner(s, uint64(sl)); got != want {
			t.Errorf("slice %#x belongs to %q, want %q", uint64(sl), got, want)
		}
	}
}

// Tables stand in order, lead forward, and say what they are for.
func TestTables(t *testing.T) {
	tables := Tables()
	for i, table := range tables {
		if i > 0 && tables[i-1].ID >= table.ID {
			t.Errorf("table %s does not come after %s", table.Name, tables[i-1].Name)
		}
		for _, next := range table.Next {
			if next <= table.ID || tableByID(next) == nil {
				t.Errorf("table %s leads to %d", table.Name, next)
			}
		}
		if table.Name == "" || table.Purpose == "" {
			t.Errorf("table %d says nothing of itself", table.ID)
		}
	}
	if len(Reasons()) != int(numReasons)-1 {
		t.Errorf("%d reasons have texts, %d are in use", len(Reasons()), numReasons-1)
	}
}
