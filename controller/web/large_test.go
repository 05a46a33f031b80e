package web_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/controller/web"
	"sluice/store"
	"sluice/store/etcd"
	"sluice/store/etcd/etcdtest"
)

// Size of the large cluster, and bounds of each of its pages.
const (
	manyHosts, manyTenants = 1000, 10_000
	maxRows, maxBytes      = 400, 400_000
)

// large is a cluster of that size. The tenant t00000 has more networks than a page shows, and t00001 more ports and hosts.
func large(t *testing.T) cluster {
	t.Helper()
	server := etcdtest.Start(t)
	load(t, server, largeWorld())
	c := startOn(t, server, web.Options{})
	await(t, func() error {
		if s, err := c.Status(t.Context()); err != nil || len(s.Hosts) != manyHosts || s.Tenants != manyTenants {
			return fmt.Errorf("%d hosts, %d tenants, %w", len(s.Hosts), s.Tenants, err)
		}
		return nil
	})
	return c
}

// largeWorld is what etcd holds of it.
func largeWorld() (all []store.Event) {
	subnet := func(n int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n)}), 24)
	}
	host := func(n int) string { return fmt.Sprintf("h%04d", n%manyHosts) }
	network := func(tenant, name string, number, nth int) store.Event {
		return store.Event{Key: store.NetworkKey(tenant, name), Object: &store.Network{
			Number: uint32(number), Segmentation: store.SegmentationTunnel, Segment: uint32(number), Flood: store.FloodAuto,
			Subnets: []store.Subnet{{Prefix: subnet(nth), Gateway: store.DefaultGateway(subnet(nth))}},
		}}
	}
	for n := range manyHosts {
		all = append(all, store.Event{Key: store.HostKey(host(n)), Object: &store.Host{
			Incarnation: fmt.Sprint(n), DatapathID: store.DatapathID(n + 1), VTEPs: []netip.Addr{netip.AddrFrom4([4]byte{198, 18, byte(n >> 8), byte(n)})},
			Gateway: true, Encap: "vxlan", UnderlayMTU: 1500,
		}})
	}
	for n := range 120 {
		all = append(all, store.Event{Key: store.PortKey(host(n), "t00001", "default", fmt.Sprint("p", n)), Object: &store.Port{
			UID: fmt.Sprintf("%012d", n), Number: uint32(n + 1), Interface: fmt.Sprintf("sl%012d", n), MAC: store.MACFromUint64(0x02_00_00_00_00_00 + uint64(n)),
			Addresses: []netip.Prefix{netip.PrefixFrom(store.UsableAt(subnet(0), uint64(n)+1), 24)},
		}})
	}
	for n := range manyTenants {
		name := fmt.Sprintf("t%05d", n)
		all = append(all, network(name, "default", n+1, 0),
			store.Event{Key: store.TenantKey(name), Object: &store.Tenant{Number: uint32(n + 1), Gateway: store.GatewayAuto}},
			store.Event{Key: store.GatewayKey(name), Object: &store.Gateway{Active: host(n), Epoch: 1}})
	}
	for n := range 300 {
		all = append(all, network("t00000", fmt.Sprint("n", n), manyTenants+n+1, n+1))
	}
	return all
}

// load writes objects in large transactions, and under alloc/ what they take: else the leader would restore that all along.
func load(t *testing.T, server *etcd.Embedded, objects []store.Event) {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: server.Endpoints()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	all := slices.Clip(objects)
	for _, e := range objects {
		for _, taken := range store.TakenBy(e.Key, e.Object) {
			all = append(all, store.Event{Key: taken.Key(), Object: &store.Alloc{Owner: taken.Owner.Short()}})
		}
	}
	for part := range slices.Chunk(all, 120) { // etcd takes 128
		ops := make([]clientv3.Op, len(part))
		for i, e := range part {
			value, err := store.Encode(e.Object)
			if err != nil {
				t.Fatal(err)
			}
			ops[i] = clientv3.OpPut(e.Key.String(), string(value))
		}
		if _, err := c.Txn(t.Context()).Then(ops...).Commit(); err != nil {
			t.Fatal(err)
		}
	}
}

// However large the cluster is, and whatever is asked, a page has some hundred rows and names where the rest is; a real browser
// shows them without a complaint, to everybody.
func TestLargeCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("a large cluster takes a while")
	}
	c := large(t)
	for path, says := range map[string]string{
		"/":                               "There are 900 more hosts",
		"/?limit=1000000":                 "There are 900 more hosts",
		"/tenants":                        `rel="next">More tenants`,
		"/tenants?limit=1000000":          `rel="next">More tenants`,
		"/tenants/t00000":                 "There are 201 more: sluice network list",
		"/tenants/t00001?limit=1000000":   "and 100 more",
		"/gateways":                       `rel="next">More gateways`,
		"/gateways?limit=1000000":         `rel="next">More gateways`,
		"/hosts/h0000":                    "Tables",
		"/hosts/h0000/flows?view=desired": "Those after",
		"/hosts/h0000/flows?view=desired&limit=1000000&from=1000000": "1 to 100 of",
		"/trace?from=t00001%2Fp0&to=10.0.0.9&view=desired":           "classify",
		"/proof":               "There are 900 more hosts",
		"/proof?limit=1000000": "There are 900 more hosts",
	} {
		page := c.get(t, path)
		if rows := strings.Count(page.text, "<tr>"); page.StatusCode != http.StatusOK || !strings.Contains(page.text, says) || rows > maxRows || len(page.text) > maxBytes {
			t.Errorf("%s: %s, %d rows, %d bytes; does it say %q?\n%.3000s", path, page.Status, rows, len(page.text), says, page.text)
		}
		wellFormed(t, path, page.text)
	}
	for _, path := range []string{"/tenants?continue=nonsense", "/gateways?continue=%00"} {
		if page := c.get(t, path); page.StatusCode < 400 || page.StatusCode > 499 || !strings.Contains(page.text, `role="alert"`) {
			t.Errorf("%s: %s\n%s", path, page.Status, page.text)
		}
	}
	seen := walk(t, c, "/gateways")
	if len(seen) != manyTenants {
		t.Errorf("the pages of gateways show %d tenants", len(seen))
	}
	inBrowser(t, c, "/", "/tenants", "/tenants/t00001")
}

// walk follows the links to the next page, and returns the tenants that all show.
func walk(t *testing.T, c cluster, top string) map[string]bool {
	t.Helper()
	seen := map[string]bool{}
	for path := top; path != ""; {
		page := c.get(t, path)
		for _, name := range between(page.text, `<th scope="row"><a href="/tenants/`, `"`) {
			seen[name] = true
		}
		path = ""
		if next := between(page.text, `href="`+top+`?continue=`, `"`); len(next) == 1 {
			path = top + "?continue=" + next[0]
		}
	}
	return seen
}
