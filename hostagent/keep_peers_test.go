package hostagent

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"sluice/store"
)

// peer is another host on the underlay: an address that answers ARP.
func (h *host) peer(name, addr, mac string) {
	h.t.Helper()
	box := newContainer(h.t)
	if _, err := netlink.LinkByName("br0"); err != nil { // the first peer
		h.run("ip", "link", "add", "br0", "type", "bridge")
		h.t.Cleanup(func() { h.run("ip", "link", "del", "br0") })
	}
	h.run("ip", "link", "add", "p-"+name, "type", "veth", "peer", "name", "eth0", "netns", box.netns())
	for _, port := range []string{"under1", "p-" + name} {
		h.run("ip", "link", "set", port, "master", "br0", "up")
	}
	h.run("ip", "link", "set", "br0", "up")
	box.run("ip", "link", "set", "eth0", "address", mac, "up")
	box.run("ip", "addr", "add", addr+"/24", "dev", "eth0")
	h.register(name, addr)
}

// register puts a host into etcd, as its agent would, and returns its create revision.
func (h *host) register(name, addr string) store.Revision {
	h.t.Helper()
	r, err := h.client.RegisterHost(h.t.Context(), name, store.Host{
		Incarnation: name, DatapathID: datapathID(name), VTEPs: []netip.Addr{netip.MustParseAddr(addr)}, Encap: "geneve",
	})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { r.Close() })
	return r.Created
}

func (h *host) tunnelNeighbours() string {
	out, err := h.ovs().AppCtl(h.t.Context(), "tnl/neigh/show")
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

func TestPeersOf(t *testing.T) {
	host := func(vteps ...string) store.Event {
		h := &store.Host{}
		for _, v := range vteps {
			h.VTEPs = append(h.VTEPs, netip.MustParseAddr(v))
		}
		return store.Event{Object: h}
	}
	hosts := []store.Event{host("192.0.2.1"), host("192.0.2.2"), host(), host("192.0.2.3", "192.0.2.4")}
	got := peersOf(hosts, netip.MustParseAddr("192.0.2.2"))
	want := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.3")}
	if !slices.Equal(got, want) {
		t.Errorf("peers %v, want %v", got, want)
	}
}

func TestDue(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	fresh, limit, old, never := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"),
		netip.MustParseAddr("192.0.2.3"), netip.MustParseAddr("192.0.2.4")
	resolved := map[netip.Addr]time.Time{
		fresh: now, limit: now.Add(-refreshInterval), old: now.Add(-refreshInterval - 1),
	}
	if got := due([]netip.Addr{fresh, limit, old, never}, resolved, now); !slices.Equal(got, []netip.Addr{old, never}) {
		t.Errorf("due are %v, want %s and %s", got, old, never)
	}
}

// A switch that has restarted knows nothing of what the one before was told.
func TestPeersAreForgottenWithTheirSwitch(t *testing.T) {
	dir := t.TempDir()
	p := newTunnelPeers(Options{DatapathType: "netdev", RunDir: dir})
	if _, err := p.is(t.Context()); err == nil {
		t.Error("a switch that does not run is no problem")
	}
	run := func(pid string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "ovs-vswitchd.pid"), []byte(pid+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(want int) {
		t.Helper()
		if is, err := p.is(t.Context()); err != nil || len(is) != want {
			t.Errorf("the switch knows %v, error %v; want %d peers", is, err, want)
		}
	}
	h2, h3 := netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.3")
	run("17")
	expect(0)
	p.note(otherHosts{[]netip.Addr{h2, h3}, 5}, map[netip.Addr]neighbour{h2: {}})
	expect(1)
	if p.counted() != 1 {
		t.Errorf("%d hosts are resolved, want 1", p.counted())
	}
	p.note(otherHosts{[]netip.Addr{h3}, 6}, nil) // h2 was deleted
	if p.counted() != 0 {
		t.Errorf("%d hosts are resolved, want none", p.counted())
	}
	if first, second := p.takeRevision(), p.takeRevision(); first != 6 || second != 0 {
		t.Errorf("the last try was at revision %d, then %d; want 6, and 0 until the next", first, second)
	}
	run("18")
	expect(0)
	p.o.DatapathType, p.o.RunDir = "system", ""
	p.note(otherHosts{[]netip.Addr{h2}, 7}, map[netip.Addr]neighbour{h2: {}})
	expect(1) // the kernel's datapath has no table of its own
}

func TestSwitchKnowsPeersBeforeTheFirstPacket(t *testing.T) {
	h := newHost(t)
	h.peer("h2", "172.30.0.2", "02:00:00:00:aa:02")
	h.register("h3", "172.30.0.3") // down: nobody answers
	a, _, _ := h.agent()
	own := newTunnelPeers(h.options)
	warm := func() {
		t.Helper()
		if err := keep(own)(t.Context()); err != nil {
			t.Fatal(err)
		}
		fields := strings.Join(strings.Fields(h.tunnelNeighbours()), " ")
		expectIn(t, "tunnel neighbours", fields, "172.30.0.2 02:00:00:00:aa:02 under0")
	}
	warm()
	kill(h.vswitchd)
	h.run("rm", h.path("ovs-vswitchd.pid"))
	h.startVSwitchd()
	warm()
	if _, known := own.resolved[netip.MustParseAddr("172.30.0.2")]; !known || own.counted() != 1 {
		t.Errorf("resolved %v, %d of them hosts; want 172.30.0.2 alone", own.resolved, own.counted())
	}
	h.eventually("status tells of one resolved peer", func() bool { return a.Status().Peers == 1 })
	h.peer("h4", "172.30.0.4", "02:00:00:00:aa:04")
	h.eventually("the agent itself resolves a host that has just registered", func() bool { return a.Status().Peers == 2 })
}

// TestContainersDoNotMeetTheKernel sends from a container to the host's own addresses. The
// switch has no flow, so whatever is answered, the host's kernel answered it.
func TestContainersDoNotMeetTheKernel(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	_, c, _ := h.agent()
	box := newContainer(t)
	port, err := c.Attach(t.Context(), attachTo("alice", "a1", box))
	if err != nil {
		t.Fatal(err)
	}
	serve(t, "", []string{"80"}, nil)
	if got := probe(t, "", "tcp4", "172.30.0.1:80"); got == "" {
		t.Fatal("the host's service does not answer the host itself")
	}
	box.run("ip", "route", "add", "172.30.0.1", "dev", "eth0")
	h.run("ip", "route", "add", "10.0.0.0/24", "dev", port.Interface) // so that an answer would find its way
	if got := probe(t, box.netns(), "tcp4", "172.30.0.1:80"); got != "" {
		t.Errorf("the host answered as %s", got)
	}
	if arp := box.run("ip", "neigh", "show", "172.30.0.1"); strings.Contains(arp, "lladdr") {
		t.Errorf("the host's kernel answered ARP: %s", arp)
	}
	link, err := netlink.LinkByName(port.Interface)
	if err != nil {
		t.Fatal(err)
	}
	box.run("ip", "neigh", "replace", "172.30.0.1", "lladdr", link.Attrs().HardwareAddr.String(), "dev", "eth0", "nud", "permanent")
	if got := probe(t, box.netns(), "tcp4", "172.30.0.1:80"); got != "" {
		t.Errorf("with its MAC known, the host answered as %s", got)
	}
	heard, err := net.ListenPacket("udp4", "172.30.0.1:5000")
	if err != nil {
		t.Fatal(err)
	}
	defer heard.Close()
	probe(t, box.netns(), "udp4", "172.30.0.1:5000")
	heard.SetReadDeadline(time.Now().Add(silence))
	if _, from, err := heard.ReadFrom(make([]byte, 100)); err == nil {
		t.Errorf("the host took a datagram from %s", from)
	}
}
