package hostagent

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"sluice/store"
)

// publishedCluster is a state of which alice and carol leave by h1, bob by h2.
func publishedCluster(more ...store.Event) *store.State {
	s := store.NewState()
	events := []store.Event{}
	for i, tenant := range []string{"alice", "bob", "carol"} {
		host := []string{"h1", "h2", "h1"}[i]
		events = append(events,
			store.Event{Key: store.TenantKey(tenant), Object: &store.Tenant{Number: uint32(i + 1)}, Created: store.Revision(i + 1), Modified: 9},
			store.Event{Key: store.GatewayKey(tenant), Object: &store.Gateway{Active: host, Draining: []string{"h3"}, Backup: "h2"}, Created: 5, Modified: 5})
	}
	s.Apply(store.Batch{Revision: 30, Events: append(events, more...)})
	return s
}

func publicationOf(tenant string, created store.Revision, p store.Publication) store.Event {
	p.Network, p.Port, p.First = "default", "web", 80
	p.TenantCreated = map[string]store.Revision{"alice": 1, "bob": 2, "carol": 3}[tenant]
	return store.Event{Key: store.PublicationKey(tenant, "w"), Object: &p, Created: created, Modified: created}
}

var sameAddress = cmpopts.EquateComparable(netip.Addr{})

// A host lets in what its tenants publish, and of two that ask for one port the older publication. Those elsewhere are known to go on.
func TestOpenings(t *testing.T) {
	s := publishedCluster(
		publicationOf("alice", 12, store.Publication{Protocol: store.ProtocolTCP, On: 8080, Count: 2, KeepSource: true}),
		publicationOf("bob", 11, store.Publication{Protocol: store.ProtocolTCP, On: 8080, Count: 1}),
		publicationOf("carol", 13, store.Publication{Protocol: store.ProtocolTCP, On: 8081, Count: 2}))
	first, second := netip.MustParseAddr("100.64.0.1"), netip.MustParseAddr("100.64.0.2")
	for host, want := range map[string][]opening{
		"h1": {{store.ProtocolTCP, 8080, first, true, netip.Addr{}, ""}, {store.ProtocolTCP, 8081, first, true, netip.Addr{}, ""}},
		"h2": {{store.ProtocolTCP, 8080, second, false, netip.Addr{}, ""}},
		"h3": nil,
	} {
		here, there := openingsOf(s, host)
		if diff := cmp.Diff(want, here, sameAddress); diff != "" {
			t.Errorf("%s: -want +got\n%s", host, diff)
		}
		if len(there) != 5 {
			t.Errorf("%s: %d ports are published somewhere: %v", host, len(there), there)
		}
		p := &published{there: there}
		if p.ended(opening{store.ProtocolTCP, 8080, second, true, netip.Addr{}, ""}) || !p.ended(opening{store.ProtocolUDP, 8080, second, false, netip.Addr{}, ""}) || (&published{}).ended(opening{}) {
			t.Errorf("%s: what ended is not known", host)
		}
	}
}

// An address of its own makes an opening another one, and a program of the host takes no port of it.
func TestFloatingOpenings(t *testing.T) {
	a, b := netip.MustParseAddr("203.0.113.5"), netip.MustParseAddr("203.0.113.6")
	floats := store.Event{Key: store.SettingsKey(), Object: &store.Settings{Floating: []store.AddressRange{{First: a, Last: b}}}, Created: 2, Modified: 2}
	s := publishedCluster(floats,
		publicationOf("alice", 12, store.Publication{Protocol: store.ProtocolTCP, On: 22, Count: 1, Address: a}),
		publicationOf("bob", 13, store.Publication{Protocol: store.ProtocolTCP, On: 23, Count: 1, Address: a}),
		publicationOf("carol", 14, store.Publication{Protocol: store.ProtocolTCP, On: 22, Count: 1, Address: b, KeepSource: true}))
	first, third := netip.MustParseAddr("100.64.0.1"), netip.MustParseAddr("100.64.0.3")
	here, there := openingsOf(s, "h1")
	want := []opening{{store.ProtocolTCP, 22, first, false, a, ""}, {store.ProtocolTCP, 22, third, true, b, ""}}
	if diff := cmp.Diff(want, here, sameAddress); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	p := &published{there: there}
	if p.ended(want[0]) || !p.ended(opening{store.ProtocolTCP, 22, first, false, netip.Addr{}, ""}) || !p.ended(opening{store.ProtocolTCP, 22, first, false, b, ""}) {
		t.Error("what ended is not known")
	}
	for i := range want {
		want[i].Behind = "h1" // h2 is the backup of both, and has bob's own, who has the address for less long
	}
	if elsewhere, _ := openingsOf(s, "h2"); !cmp.Equal(elsewhere, want, sameAddress) || p.ended(want[0]) {
		t.Errorf("at the backup %v are let in, want %v", elsewhere, want)
	}
	if third, _ := openingsOf(s, "h3"); len(third) != 0 {
		t.Errorf("a host that drains lets in %v", third)
	}
	if free, taken := apart(here, []store.Endpoint{{Protocol: store.ProtocolTCP, Port: 22}}); len(free) != 2 || taken != nil {
		t.Errorf("a program of the host takes a port of an address that is not its: %v, %v", free, taken)
	}
}

// reads are what a store was asked for.
type reads struct {
	Store
	listed int
}

func (r *reads) List(ctx context.Context, kind store.Kind, prefix ...string) ([]store.Event, store.Revision, error) {
	r.listed++
	return r.Store.List(ctx, kind, prefix...)
}

// Whether a floating address is still this host's is asked of two keys, as long as they say what they said; where they do not, all is read.
func TestHasFloatingAddress(t *testing.T) {
	h := newHost(t)
	created := func() store.Revision {
		events, _, err := h.client.List(t.Context(), store.KindTenant)
		at := slices.IndexFunc(events, func(e store.Event) bool { return e.Key == store.TenantKey("alice") })
		if err != nil || at < 0 {
			t.Fatalf("%v, %v", events, err)
		}
		return events[at].Created
	}()
	publish := func(name string, on uint16, a netip.Addr) {
		h.put(store.PublicationKey("alice", name), &store.Publication{TenantCreated: created, Network: "default", Port: "web", Protocol: store.ProtocolTCP, First: 80, On: on, Count: 1, Address: a})
	}
	h.put(store.SettingsKey(), &store.Settings{Floating: []store.AddressRange{{First: floatA, Last: floatB}}})
	h.put(store.GatewayKey("alice"), &store.Gateway{Active: "h1", Epoch: 1})
	publish("tcp-80", 80, floatA)
	from := &reads{Store: h.client}
	p := &published{host: "h1", store: from, ports: newPublishing(), file: filepath.Join(t.TempDir(), "published.json"), changed: newBell(), moved: newBell(),
		problems: newProblems(h.log()), listens: func() ([]store.Endpoint, error) { return nil, nil }}
	p.ports.apply(store.Batch{})
	if err := keep(p)(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what      string
		change    func()
		has, read bool
	}{
		{"as it was read", func() {}, true, false},
		{"by another publication", func() { publish("tcp-80", 80, floatB); publish("tcp-81", 81, floatA) }, true, true},
		{"not published any more", func() { publish("tcp-81", 81, floatB) }, false, true},
		{"another host's", func() {
			publish("tcp-80", 80, floatA)
			h.put(store.GatewayKey("alice"), &store.Gateway{Active: "h2", Epoch: 2})
		}, false, true},
	} {
		c.change()
		from.listed = 0
		err := p.has(t.Context(), floatA)
		if (err == nil) != c.has || (from.listed > 0) != c.read {
			t.Errorf("%s: %v, by %d lists", c.what, err, from.listed)
		}
	}
}

// What is published here is told together with when that was read, also while it cannot be remembered; that is tried until it can.
func TestPublishedIsToldAtOneTime(t *testing.T) {
	dir := t.TempDir()
	first, second := time.Unix(1000, 0), time.Unix(1001, 0)
	o := opening{Protocol: store.ProtocolTCP, Port: 80, Address: netip.MustParseAddr("203.0.113.5")}
	p := &published{file: filepath.Join(dir, "missing", "published.json"), changed: newBell(), moved: newBell(), read: first, reading: second}
	for range 2 {
		if err := p.makeSo(t.Context(), []opening{o}, p.known()); err == nil {
			t.Error("that it is not remembered is no problem")
		}
		wanted, _, read := p.floating()
		if _, here := wanted[o.Address]; !here || !read.Equal(second) {
			t.Errorf("of what was read at %s it is told that %v is here, read at %s", second, wanted, read)
		}
	}
	<-p.moved
	p.file = filepath.Join(dir, "published.json")
	for _, want := range []bool{true, false} { // the second time there is nothing to write
		if err := p.makeSo(t.Context(), []opening{o}, p.known()); err != nil {
			t.Fatal(err)
		}
		later := &published{file: p.file}
		if err := later.load(); err != nil || slices.Contains(later.known(), o) != want {
			t.Errorf("%v is remembered, %v", later.known(), err)
		}
		if err := os.Remove(p.file); want && err != nil {
			t.Fatal(err)
		}
		<-p.moved // one that was given up may be here again
	}
}

// A tenant is let in under the transit address that this host knows it by, and not at all while it has none.
func TestOpeningsBySlot(t *testing.T) {
	for _, c := range []struct {
		slots map[string]uint32
		want  []opening
	}{
		{map[string]uint32{"h1": 9}, []opening{{store.ProtocolTCP, 8080, netip.MustParseAddr("100.64.0.9"), false, netip.Addr{}, ""}}},
		{nil, nil},
	} {
		s := publishedCluster(
			store.Event{Key: store.TenantKey("alice"), Object: &store.Tenant{Number: 70000}, Created: 1, Modified: 9},
			store.Event{Key: store.GatewayKey("alice"), Object: &store.Gateway{Active: "h1", Slots: c.slots}, Created: 5, Modified: 6},
			publicationOf("alice", 12, store.Publication{Protocol: store.ProtocolTCP, On: 8080, Count: 1}))
		here, there := openingsOf(s, "h1")
		if diff := cmp.Diff(c.want, here, sameAddress); diff != "" || len(there) != len(c.want) {
			t.Errorf("slots %v: %d are published: -want +got\n%s", c.slots, len(there), diff)
		}
	}
}

// What a program listens on is not taken from it.
func TestListening(t *testing.T) {
	tcp, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp", "[::]:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	own, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	connected, err := net.Dial("udp4", "127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	defer connected.Close()
	heard, err := listening()
	if err != nil {
		t.Fatal(err)
	}
	openings := []opening{
		{Protocol: store.ProtocolTCP, Port: uint16(tcp.Addr().(*net.TCPAddr).Port)}, {Protocol: store.ProtocolUDP, Port: uint16(udp.LocalAddr().(*net.UDPAddr).Port)},
		{Protocol: store.ProtocolTCP, Port: uint16(own.Addr().(*net.TCPAddr).Port)}, {Protocol: store.ProtocolUDP, Port: uint16(connected.LocalAddr().(*net.UDPAddr).Port)},
	}
	free, taken := apart(openings, heard)
	if diff := cmp.Diff(openings[2:], free, sameAddress); diff != "" {
		t.Errorf("let in: -want +got\n%s", diff)
	}
	if taken == nil || !strings.Contains(taken.Error(), openings[0].endpoint().String()+" is published to a tenant") || !strings.Contains(taken.Error(), openings[1].endpoint().String()) {
		t.Errorf("what is taken is told as %v", taken)
	}
}

// The kernel forgets what was let in by a publication that ended, and nothing else.
func TestOpenedBy(t *testing.T) {
	list := openedBy{{store.ProtocolTCP, 8080, netip.MustParseAddr("100.64.0.1"), false, netip.Addr{}, ""}}
	flow := func(protocol uint8, port uint16, answers string) *netlink.ConntrackFlow {
		return &netlink.ConntrackFlow{Forward: netlink.IPTuple{Protocol: protocol, DstPort: port}, Reverse: netlink.IPTuple{SrcIP: net.ParseIP(answers)}}
	}
	for _, tc := range []struct {
		flow *netlink.ConntrackFlow
		want bool
	}{
		{flow(unix.IPPROTO_TCP, 8080, "100.64.0.1"), true},
		{flow(unix.IPPROTO_UDP, 8080, "100.64.0.1"), false},
		{flow(unix.IPPROTO_TCP, 8081, "100.64.0.1"), false},
		{flow(unix.IPPROTO_TCP, 8080, "100.64.0.2"), false},
	} {
		if got := list.MatchConntrackFlow(tc.flow); got != tc.want {
			t.Errorf("%+v: %v", tc.flow, got)
		}
	}
}

// What ended, or begins, on one floating address is so on no other.
func TestFloatingConnections(t *testing.T) {
	a := netip.MustParseAddr("203.0.113.5")
	o := opening{store.ProtocolUDP, 53, netip.MustParseAddr("100.64.0.1"), false, a, ""}
	flow := func(to, answers string) *netlink.ConntrackFlow {
		return &netlink.ConntrackFlow{Forward: netlink.IPTuple{Protocol: unix.IPPROTO_UDP, DstIP: net.ParseIP(to), DstPort: 53}, Reverse: netlink.IPTuple{SrcIP: net.ParseIP(answers)}}
	}
	for to, want := range map[string]bool{"203.0.113.5": true, "203.0.113.6": false, "172.30.0.1": false} {
		if got := (openedBy{o}).MatchConntrackFlow(flow(to, "100.64.0.1")); got != want {
			t.Errorf("opened to %s: %v", to, got)
		}
		own := []netip.Addr{netip.MustParseAddr("172.30.0.1")}
		if got := (missed{[]opening{o}, own}).MatchConntrackFlow(flow(to, to)); got != want {
			t.Errorf("missed to %s: %v", to, got)
		}
	}
}

// It forgets what came before, to the host itself.
func TestMissed(t *testing.T) {
	own := netip.MustParseAddr("172.30.0.1")
	list := missed{[]opening{{store.ProtocolUDP, 53, netip.MustParseAddr("100.64.0.1"), false, netip.Addr{}, ""}}, []netip.Addr{own}}
	flow := func(protocol uint8, to string, port uint16, answers string) *netlink.ConntrackFlow {
		return &netlink.ConntrackFlow{Forward: netlink.IPTuple{Protocol: protocol, DstIP: net.ParseIP(to), DstPort: port}, Reverse: netlink.IPTuple{SrcIP: net.ParseIP(answers)}}
	}
	for _, tc := range []struct {
		flow *netlink.ConntrackFlow
		want bool
	}{
		{flow(unix.IPPROTO_UDP, "172.30.0.1", 53, "172.30.0.1"), true},
		{flow(unix.IPPROTO_UDP, "172.30.0.1", 53, "100.64.0.1"), false},
		{flow(unix.IPPROTO_UDP, "172.30.0.1", 54, "172.30.0.1"), false},
		{flow(unix.IPPROTO_TCP, "172.30.0.1", 53, "172.30.0.1"), false},
		{flow(unix.IPPROTO_UDP, "192.0.2.9", 53, "192.0.2.9"), false}, // the host's own question
	} {
		if got := list.MatchConntrackFlow(tc.flow); got != tc.want {
			t.Errorf("%+v: %v", tc.flow, got)
		}
	}
}

// What the agent remembers of the table is read again as it was written.
func TestMembersAsText(t *testing.T) {
	o := opening{store.ProtocolUDP, 53, netip.MustParseAddr("100.64.0.9"), false, netip.Addr{}, ""}
	for _, m := range o.members() {
		if got := memberOf(m.set, m.text()); got != m {
			t.Errorf("%+v is read as %+v", m, got)
		}
	}
	if got, err := openingOf(o.members()[0]); err != nil || got != o.way() {
		t.Errorf("%+v, %v", got, err)
	}
	o.Address = netip.MustParseAddr("203.0.113.5")
	if got, err := openingOf(o.members()[0]); err != nil || got != o.way() || o.members()[0].set != floatingMap {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := openingOf(member{floatingMap, "x . tcp . 80", "100.64.0.9"}); err == nil {
		t.Error("an element without an address is read")
	}
}
