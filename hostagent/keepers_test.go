package hostagent

import (
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/datapath/ovsdb"
	"sluice/store"
)

func testOptions() Options {
	return Options{
		Host: "h1", VTEP: netip.MustParseAddr("192.0.2.21"), Encap: "geneve", DatapathType: "netdev",
		Controllers: []string{"tcp:192.0.2.1:6653"}, Uplink: "eth0", Gateway: true,
		Infrastructure: prefixes("198.51.100.0/24"), Log: slog.New(slog.DiscardHandler),
	}
}

// TestKeepers holds the list to what the keepers ask of each other and to what users are told.
func TestKeepers(t *testing.T) {
	operations, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for gateway, want := range map[bool][]string{
		true: {"preflight", "underlay", "name", "switch certificate", "bridge", "tunnel port", "gateway port", "resolver", "table names", "infrastructure", "nftables",
			"transit interface", "forwarding", "tenants", "publications", "floating addresses", "zone limits", "kernel limits", "drained tenants", "trunk", "host", "ports", "veths", "tunnel peers", "probes", "usage"},
		false: {"preflight", "underlay", "name", "switch certificate", "bridge", "tunnel port", "gateway port", "resolver", "table names", "infrastructure", "nftables",
			"trunk", "host", "ports", "veths", "tunnel peers", "probes", "usage"},
	} {
		o := testOptions()
		o.Gateway = gateway
		a, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		earlier := []string{nameRegistration, nameTenantsKnown}
		for _, k := range a.keepers() {
			for _, other := range slices.Concat(k.needs, k.after) {
				if !slices.Contains(earlier, other) {
					t.Errorf("%s asks for %s, which does not come before it", k.name, other)
				}
			}
			earlier = append(earlier, k.name)
			if !strings.Contains(string(operations), "| `"+k.name+"` |") {
				t.Errorf("docs/operations.md does not say what a problem of %q is", k.name)
			}
		}
		if diff := cmp.Diff(want, earlier[2:]); diff != "" {
			t.Errorf("keepers of a gateway host %v: -want +got\n%s", gateway, diff)
		}
	}
}

func TestBridgeFor(t *testing.T) {
	want := ovsdb.Bridge{
		Name: "br-int", DatapathType: "netdev", DatapathID: "51c1ce0000000001", FailMode: "secure",
		Controllers: []string{"tcp:192.0.2.1:6653"}, Protocols: []string{"OpenFlow13", "OpenFlow14", "OpenFlow15"},
	}
	if diff := cmp.Diff(want, bridgeFor(testOptions(), 0x51c1ce0000000001)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestTunnelPortFor(t *testing.T) {
	for _, c := range []struct {
		encap, vtep string
		more        map[string]string
	}{
		{"gre", "192.0.2.21", nil},
		{"vxlan", "192.0.2.21", map[string]string{"dst_port": "4789"}},
		{"geneve", "192.0.2.21", map[string]string{"dst_port": "6081"}},
		{"gre", "2001:db8::21", nil},
		{"vxlan", "2001:db8::21", map[string]string{"dst_port": "4789", "csum": "true"}},
		{"geneve", "2001:db8::21", map[string]string{"dst_port": "6081", "csum": "true"}},
	} {
		options := map[string]string{"remote_ip": "flow", "key": "flow", "local_ip": c.vtep}
		for k, v := range c.more {
			options[k] = v
		}
		want := ovsdb.Interface{Name: store.TunnelInterface, Type: c.encap, Options: options}
		got := tunnelPortFor(Options{Encap: c.encap, VTEP: netip.MustParseAddr(c.vtep)})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s at %s: -want +got\n%s", c.encap, c.vtep, diff)
		}
	}
}

func TestGatewayPortFor(t *testing.T) {
	want := &ovsdb.Interface{Name: store.GatewayInterface, Type: "internal", MAC: store.KernelMAC.String(), MTU: 1450}
	if diff := cmp.Diff(want, gatewayPortFor(true, 1450)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if got := gatewayPortFor(false, 1450); got != nil {
		t.Errorf("a host that is no gateway is to have %+v", got)
	}
}

func TestClosedPrefixes(t *testing.T) {
	for _, c := range []struct {
		name     string
		underlay netip.Prefix
		want     []netip.Prefix
	}{
		{"unknown underlay", netip.Prefix{}, prefixes("192.0.2.1/32", "198.51.100.0/24")},
		{"controller on the underlay", netip.MustParsePrefix("192.0.2.21/24"), prefixes("192.0.2.0/24", "198.51.100.0/24")},
	} {
		o := testOptions()
		if diff := cmp.Diff(texts(c.want), texts(closedPrefixes(o, c.underlay))); diff != "" {
			t.Errorf("%s: -want +got\n%s", c.name, diff)
		}
		if diff := cmp.Diff(testOptions().Infrastructure[0], o.Infrastructure[0], cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
			t.Errorf("%s: the options changed: %s", c.name, diff)
		}
	}
}

func texts(all []netip.Prefix) []string {
	var s []string
	for _, p := range all {
		s = append(s, p.String())
	}
	return s
}

func TestHostFor(t *testing.T) {
	got := hostFor(testOptions(), identity{"x", 7}, vtepInterface{mtu: 1500, prefix: netip.MustParsePrefix("192.0.2.21/24")},
		addrs("192.0.2.21", "203.0.113.4"))
	want := store.Host{
		Incarnation: "x", DatapathID: 7, VTEPs: addrs("192.0.2.21"),
		Addresses: addrs("192.0.2.21", "203.0.113.4"), Uplink: "eth0",
		Gateway: true, Encap: "geneve", UnderlayMTU: 1500, Infrastructure: prefixes("192.0.2.0/24", "198.51.100.0/24"),
	}
	compare := cmp.Options{
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	}
	if diff := cmp.Diff(want, got, compare); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
