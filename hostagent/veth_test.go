package hostagent

import (
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"sluice/hostagent/api"
	"sluice/store"
)

// Both ends have the MTU. The container's end computes checksums itself in the userspace datapath, and leaves them to
// the device in the kernel's, also where its runtime takes it over.
func TestEndsOfAPort(t *testing.T) {
	for _, c := range []struct {
		about           string
		plain, handOver bool
	}{{"userspace datapath", true, false}, {"the kernel's", false, false}, {"userspace datapath, handed over", true, true}, {"the kernel's, handed over", false, true}} {
		t.Run(c.about, func(t *testing.T) {
			box, uid, ns := newPair(t)
			end := containerEnd{name: "eth0", mac: store.MAC{2, 0, 0, 0, 0, 7}, addresses: prefixes("10.0.0.5/24"), gateways: addrs("10.0.0.1"),
				plainChecksums: c.plain, handOver: c.handOver}
			if _, err := end.setUp(ns); err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(box.run("ethtool", "-k", "eth0"), "tx-checksumming: off"); got != c.plain {
				t.Errorf("it computes checksums itself: %t", got)
			}
			expectIn(t, "the container's end", box.run("ip", "link", "show", "dev", "eth0"), "mtu 1400", "02:00:00:00:00:07")
			if link, err := netlink.LinkByName(portInterface(uid)); err != nil || link.Attrs().MTU != 1400 {
				t.Errorf("the host's end: %+v, %v", link, err)
			}
			if got := strings.Contains(box.run("ip", "route"), "default via 10.0.0.1"); got == c.handOver {
				t.Errorf("there is a default route: %t", got)
			}
		})
	}
}

// newPair is a container with one end of a pair of interfaces, eth0 with an MTU of 1400 bytes.
func newPair(t *testing.T) (box *container, uid string, ns netns.NsHandle) {
	t.Helper()
	box, uid = newContainer(t), newUID()
	ns, err := netns.GetFromPath(box.netns())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	if err := createVeth(uid, "eth0", 1400, ns); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { deleteLink(portInterface(uid)) })
	return box, uid, ns
}

// Routes that a runtime asks for stand instead of the default route.
func TestRoutesOfItsOwn(t *testing.T) {
	box, _, ns := newPair(t)
	asked, err := routes(api.AttachRequest{Routes: []api.Route{{Destination: "10.8.0.0/16"}, {Destination: "10.9.0.0/16", Gateway: "10.0.0.9"}}})
	if err != nil {
		t.Fatal(err)
	}
	end := containerEnd{name: "eth0", mac: store.MAC{2, 0, 0, 0, 0, 7}, addresses: prefixes("10.0.0.5/24"), gateways: addrs("10.0.0.1"), routes: asked}
	if _, err := end.setUp(ns); err != nil {
		t.Fatal(err)
	}
	got := box.run("ip", "route")
	expectIn(t, "routes", got, "10.8.0.0/16 via 10.0.0.1", "10.9.0.0/16 via 10.0.0.9")
	if strings.Contains(got, "default") {
		t.Errorf("there is a default route besides: %s", got)
	}
	end.routes = []route{{to: prefixes("fd00::/8")[0]}}
	if _, err := end.setUp(ns); err == nil || statusOf(err) != 422 {
		t.Errorf("a route of a family that the port does not have: %v", err)
	}
}
