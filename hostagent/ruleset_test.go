package hostagent

import (
	"flag"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/golden"
	"sluice/store"
)

var update = flag.Bool("update", false, "write the golden files")

func prefixes(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, s := range texts {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

func addrs(texts ...string) []netip.Addr {
	var all []netip.Addr
	for _, s := range texts {
		all = append(all, netip.MustParseAddr(s))
	}
	return all
}

func TestRuleset(t *testing.T) {
	host := ruleset{
		frame: frame{
			closed: prefixes("172.30.0.0/24", "10.255.0.0/16", "10.255.3.0/24", "192.0.2.7/32", "fd00::/8", "172.30.0.1/24"),
			encap:  "vxlan", transit: store.DefaultTransit, vtep: netip.MustParseAddr("172.30.0.1"), underlay: "eth0", peers: true,
		},
		members: members{
			Told: true, Closed: addrs("192.0.2.8", "172.30.0.2", "2001:db8::2"), Peers: addrs("172.30.0.2", "172.30.0.3", "2001:db8::3"),
		},
	}
	for name, change := range map[string]func(r *ruleset){
		"host":    func(*ruleset) {},
		"gateway": func(r *ruleset) { r.gateway, r.uplinks = true, []string{"eth0", "eth1"} },
		"published": func(r *ruleset) {
			r.gateway, r.uplinks = true, []string{"eth0", "eth1"}
			r.published = []opening{{store.ProtocolTCP, 8080, netip.MustParseAddr("100.64.0.7"), false, netip.Addr{}, ""}, {store.ProtocolUDP, 53, netip.MustParseAddr("100.64.0.9"), true, netip.Addr{}, ""}}
		},
		"floating": func(r *ruleset) {
			r.gateway, r.uplinks = true, []string{"eth0"}
			a, b := netip.MustParseAddr("172.30.0.50"), netip.MustParseAddr("172.30.0.51")
			r.published = []opening{{store.ProtocolTCP, 8080, netip.MustParseAddr("100.64.0.7"), false, a, ""}, {store.ProtocolTCP, 8080, netip.MustParseAddr("100.64.0.9"), true, b, ""}}
			r.floating = addrs("172.30.0.50", "172.30.0.51", "172.30.0.52")
		},
		"router": func(r *ruleset) { r.gateway, r.router, r.uplinks = true, true, []string{"eth1"} },
		"other-transit-range": func(r *ruleset) {
			r.gateway, r.uplinks, r.transit = true, []string{"eth0"}, store.Transit{Prefix: netip.MustParsePrefix("198.18.0.0/15")}
		},
		"no-uplink":        func(r *ruleset) { r.gateway, r.underlay, r.encap = true, "", "gre" },
		"peers-not-known":  func(r *ruleset) { r.peers = false },
		"tunnels-over-ip6": func(r *ruleset) { r.vtep, r.encap = netip.MustParseAddr("2001:db8::1"), "geneve" },
	} {
		t.Run(name, func(t *testing.T) {
			r := host
			change(&r)
			checkGolden(t, "ruleset-"+name+".nft", r.text())
		})
	}
}

func checkGolden(t *testing.T, name, got string) {
	t.Helper()
	golden.Check(t, filepath.Join("testdata", name), []byte(got), *update)
}

func TestOutermost(t *testing.T) {
	got := outermost(prefixes("10.1.0.0/16", "10.0.0.5/8", "192.0.2.0/24", "10.2.3.4/32", "192.0.2.0/25", "fd00::1/64"))
	want := prefixes("10.0.0.0/8", "192.0.2.0/24", "fd00::/64")
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestControllerHosts(t *testing.T) {
	got := controllerHosts([]string{"tcp:192.0.2.1:6653", "ssl:[2001:db8::1]:6653", "tcp:c1.example:6653", "unix:/run/x.sock", "ptcp:6653"})
	if diff := cmp.Diff([]string{"192.0.2.1", "2001:db8::1", "c1.example"}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
