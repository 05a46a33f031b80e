package hostagent

import (
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"sluice/store"
	"sluice/store/etcd"
)

var floatA, floatB = netip.MustParseAddr("172.30.0.50"), netip.MustParseAddr("172.30.0.51")

func testFloating(r *registration) *floating {
	return newFloating(testOptions(), &Agent{published: &published{}, registration: r, probes: &probes{}}, testOptions().Log)
}

// floatingOn is the keeper of a gateway host that is registered, on which two addresses are published, read since, and of which the table has the ports.
func floatingOn(t *testing.T, g *gatewayHost) (*floating, *published) {
	t.Helper()
	r := &registration{}
	f := testFloating(r)
	p := f.published
	p.tabled = map[netip.Addr]bool{floatA: true, floatB: true}
	p.now = []opening{{Protocol: store.ProtocolTCP, Port: 80, Address: floatA}, {Protocol: store.ProtocolTCP, Port: 81, Address: floatB}}
	f.infrastructure, f.problems, f.o.Uplink = g.cluster, newProblems(f.log), "under0"
	r.set(&etcd.Registration{})
	p.read = r.since.Add(time.Nanosecond)
	return f, p
}

// Neighbours are told at once, some times more, and then now and then for ever.
func TestAnnouncing(t *testing.T) {
	start := time.Unix(1000, 0)
	f := testFloating(&registration{})
	a, b := spot{floatA, 3}, spot{floatB, 3}
	var at []int
	for second := range 80 {
		if told := f.toAnnounce([]spot{a}, true, start.Add(time.Duration(second)*time.Second)); len(told) > 0 {
			at = append(at, second)
		}
	}
	if want := []int{0, 1, 2, 4, 8, 38, 68}; !slices.Equal(at, want) {
		t.Errorf("it is told after %v seconds, want %v", at, want)
	}
	later := start.Add(80 * time.Second)
	if told := f.toAnnounce([]spot{a, b}, true, later); !slices.Equal(told, []spot{b}) {
		t.Errorf("when another comes %v are told", told)
	}
	// While it is cut off from etcd it tells nobody; once it is not any more all are told anew.
	if told := f.toAnnounce([]spot{a, b}, false, later.Add(40*time.Second)); told != nil {
		t.Errorf("an agent that is not registered tells of %v", told)
	}
	if told := f.toAnnounce([]spot{a, b}, true, later.Add(41*time.Second)); !slices.Equal(told, []spot{a, b}) {
		t.Errorf("after the outage %v are told", told)
	}
	if f.toAnnounce([]spot{b}, true, later.Add(42*time.Second)); f.holding(floatA) || !f.holding(floatB) {
		t.Error("what is held is not what is here")
	}
}

// Who says that it has an address of this host's is heard twice a second at most, and told as a problem for a while.
func TestRivals(t *testing.T) {
	f := testFloating(&registration{})
	now, mac := time.Unix(1000, 0), store.MAC{2, 0, 0, 0, 0, 9}
	if f.noteRival(floatA, mac, now) {
		t.Error("another machine's word is minded of an address that is not here")
	}
	f.toAnnounce([]spot{{floatA, 3}}, true, now)
	for _, c := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {400 * time.Millisecond, false}, {500 * time.Millisecond, true}} {
		if got := f.noteRival(floatA, mac, now.Add(c.after)); got != c.want {
			t.Errorf("after %s: %v", c.after, got)
		}
	}
	if all := f.rivalry(now.Add(30 * time.Second)); len(all) != 1 || !strings.Contains(all[0].Error(), "172.30.0.50") || !strings.Contains(all[0].Error(), mac.String()) {
		t.Errorf("problems: %v", all)
	}
	if all := f.rivalry(now.Add(61 * time.Second)); len(all) != 0 {
		t.Errorf("a minute later: %v", all)
	}
}

// What was given up comes back once etcd has said since that it is this host's, and only then.
func TestGaveUp(t *testing.T) {
	r := &registration{}
	f := testFloating(r)
	gave := time.Unix(1000, 0)
	f.givenUp[floatA] = gave
	before, never := gave.Add(-time.Minute), time.Time{}
	for _, c := range []struct {
		read, registered time.Time
		want             bool
	}{{gave.Add(-time.Second), before, true}, {gave, before, true}, {gave.Add(time.Second), never, true}, {gave.Add(time.Second), gave.Add(time.Second), true},
		{gave.Add(time.Second), before, false}, {time.Time{}, never, false}} {
		r.set(nil)
		if !c.registered.IsZero() {
			r.now, r.since = &etcd.Registration{}, c.registered
		}
		if got := f.gaveUp(floatA, c.read); got != c.want {
			t.Errorf("read %s, registered %s: %v", c.read.Sub(gave), c.registered.Sub(gave), got)
		}
	}
}

// The kernel keeps an address while the agent cannot see where it is to be, as long as it is wanted; one that it let go of does not come back by that.
func TestRenewedBeforeAnyLook(t *testing.T) {
	g := newGatewayHost(t)
	f, p := floatingOn(t, g)
	if err := f.try(t.Context()); err != nil {
		t.Fatal(err)
	}
	link, err := netlink.LinkByName("under0")
	if err != nil {
		t.Fatal(err)
	}
	lives := func() map[string]int {
		have, err := netlink.AddrList(link, netlink.FAMILY_V4)
		if err != nil {
			t.Fatal(err)
		}
		left := map[string]int{}
		for _, a := range have {
			if a.Label == floatingLabel {
				left[a.IP.String()] = a.ValidLft
			}
		}
		return left
	}
	lengthen := func() { // so that one sees what is renewed

		for _, a := range []netip.Addr{floatA, floatB} {
			g.run("ip", "addr", "change", a.String()+"/32", "dev", "under0", "label", floatingLabel, "valid_lft", "600", "preferred_lft", "0")
		}
	}
	lengthen()
	f.o.Uplink, p.now = "under9", p.now[:1]
	if err := f.try(t.Context()); err == nil {
		t.Fatal("that the uplink is not there is no problem")
	}
	if left := lives(); left[floatA.String()] > int(floatingLife/time.Second) || left[floatB.String()] <= 300 {
		t.Errorf("only the one that is wanted is renewed; they live for %v", left)
	}
	lengthen()
	f.given[spot{floatA, link.Attrs().Index}] = time.Now().Add(-floatingLife)
	g.run("ip", "addr", "del", floatA.String()+"/32", "dev", "under0")
	if err := f.try(t.Context()); err == nil {
		t.Fatal("that the uplink is not there is no problem")
	}
	if left := lives(); left[floatA.String()] != 0 {
		t.Errorf("what the kernel let go of is here again: %v", left)
	}
}

// Another machine that tells that an address is its own keeps it from coming, by name, for as long as it does; it takes none away that is here.
func TestClaimedAddress(t *testing.T) {
	g := newGatewayHost(t)
	f, p := floatingOn(t, g)
	p.now = p.now[:1]
	claims := func(want bool, who string) {
		t.Helper()
		if err := keep(f)(t.Context()); err != nil {
			t.Fatal(err)
		}
		spots, err := floatingSpots()
		if here := len(spots) > 0; err != nil || here != want {
			t.Errorf("%s: here are %v, %v", who, spots, err)
		}
		text := f.problems.text("floating conflicts")
		if !strings.Contains(text, who) || (text == "") != (who == "") {
			t.Errorf("of the claim of %q it is told: %q", who, text)
		}
	}
	g.cluster.now.Closed = append(g.cluster.now.Closed, floatA)
	claims(false, "a machine of the cluster tells")
	h2 := hostEvent("h2", "172.30.0.2", floatA.String())
	g.cluster.claims = claimsOf([]store.Event{h2}, nil, nil)
	claims(false, "host h2 tells")
	g.cluster.claims = claimsOf(nil, nil, nil) // though it is closed to tenants for a while yet
	claims(true, "")
	g.cluster.claims = claimsOf([]store.Event{h2}, nil, nil)
	claims(true, "host h2 tells")
}

// What an agent knew before it was registered brings no address, and none is told of by it: it may be another host's since. One that is here stays.
func TestOldWordBringsNothing(t *testing.T) {
	g := newGatewayHost(t)
	link, err := netlink.LinkByName("under0")
	if err != nil {
		t.Fatal(err)
	}
	a, b := spot{floatA, link.Attrs().Index}, spot{floatB, link.Attrs().Index}
	if err := a.put(); err != nil {
		t.Fatal(err)
	}
	f, p := floatingOn(t, g)
	r := f.registration
	for _, c := range []struct {
		what string
		read time.Time
		here []spot
		told int
	}{
		{"an earlier agent knew it", time.Time{}, []spot{a}, 0},
		{"it was read before", r.since, []spot{a}, 0},
		{"it was read since", r.since.Add(time.Nanosecond), []spot{a, b}, 1},
	} {
		p.read = c.read
		if err := keep(f)(t.Context()); err != nil {
			t.Fatal(err)
		}
		if here, err := floatingSpots(); err != nil || !slices.Equal(here, c.here) {
			t.Errorf("%s: here are %v, %v", c.what, here, err)
		}
		if f.holds[floatA].times != c.told {
			t.Errorf("%s: neighbours were told %d times", c.what, f.holds[floatA].times)
		}
	}
}

// The backup asks who has the addresses of a dead host, and takes those that nobody has; it tells of them though etcd does not say that they are its.
func TestOrphans(t *testing.T) {
	g := newGatewayHost(t)
	link, err := netlink.LinkByName("under0")
	if err != nil {
		t.Fatal(err)
	}
	g.outside.run("ip", "addr", "add", floatB.String()+"/32", "dev", "peer")
	f := testFloating(&registration{})
	dead := map[string]bool{"h2": true}
	f.dead = func(host string) bool { return dead[host] }
	a, b, c := spot{floatA, link.Attrs().Index}, spot{floatB, link.Attrs().Index}, spot{netip.MustParseAddr("172.30.0.52"), link.Attrs().Index}
	behind := map[spot]string{a: "h2", b: "h2", c: "h3"}
	alone, err := f.orphans(t.Context(), behind)
	if err != nil || !slices.Equal(alone, []spot{a}) {
		t.Fatalf("%v, %v: of %s's the first is nobody's", alone, err, "h2")
	}
	f.note(alone, len(behind))
	if told := f.toAnnounce(alone, false, time.Unix(1000, 0)); !slices.Equal(told, alone) {
		t.Errorf("neighbours are told of %v", told)
	}
	g.outside.run("ip", "addr", "add", floatA.String()+"/32", "dev", "peer") // one that is here already is not asked for
	if alone, err = f.orphans(t.Context(), behind); err != nil || !slices.Equal(alone, []spot{a}) {
		t.Errorf("%v, %v", alone, err)
	}
	dead["h2"] = false
	if alone, err = f.orphans(t.Context(), behind); err != nil || len(alone) != 0 {
		t.Errorf("of a host that lives: %v, %v", alone, err)
	}
}

// gateway host's uplink with a floating address: the kernel has it, no host's own program is on it, the cluster is not told of it, and it goes by itself.
func TestFloatingSpots(t *testing.T) {
	g := newGatewayHost(t)
	link, err := netlink.LinkByName("under0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, "", []string{"80"}, nil)
	heard := make(chan syscall.NetlinkMessage, 100)
	bell := newBell()
	listen := addressNotifications
	concern := listen.concern
	listen.concern = func(m syscall.NetlinkMessage) bool { heard <- m; return concern(m) }
	go listen.listen(t.Context(), bell)
	<-bell // it listens
	at := spot{floatA, link.Attrs().Index}
	for range 2 { // the second time it is renewed
		if err := at.put(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the kernel tells of the address", func() bool { return len(heard) >= 2 })
	select {
	case <-bell:
		t.Error("a floating address is a reason to look at all of the host")
	default:
	}
	if spots, err := floatingSpots(); err != nil || !slices.Equal(spots, []spot{at}) {
		t.Fatalf("%v, %v", spots, err)
	}
	if own, err := hostAddresses(); err != nil || slices.Contains(own, floatA) || !slices.Contains(own, netip.MustParseAddr("172.30.0.1")) {
		t.Errorf("the host's own are %v, %v", own, err)
	}
	if told, err := toldSubnets("under0"); err != nil || len(told) != 1 || told[0].String() != "172.30.0.0/24" {
		t.Errorf("subnets %v, %v", told, err)
	}
	g.setUp() // which finds the address, and closes it
	if got := probe(t, g.outside.netns(), "tcp4", "172.30.0.50:80"); got != "" {
		t.Errorf("by the floating address one reaches the host: it sees %s", got)
	}
	if got := probe(t, g.outside.netns(), "tcp4", "172.30.0.1:80"); got == "" {
		t.Error("the host is not reached by its own address")
	}
	if exec.Command("nsenter", "--net="+g.outside.netns(), "--", "ping", "-c1", "-W1", "172.30.0.50").Run() != nil {
		t.Error("it answers no ping")
	}
	for range 2 { // the second time it is gone already
		if err := at.takeOff(); err != nil {
			t.Error(err)
		}
	}
	if spots, err := floatingSpots(); err != nil || len(spots) != 0 {
		t.Errorf("%v, %v", spots, err)
	}
}

// A floating address that the host gets itself is the host's own from then on: its programs are reached there, and no tenant, though its ports are published.
func TestFloatingAddressOfTheHost(t *testing.T) {
	g := newGatewayHost(t)
	serve(t, "", []string{"80"}, nil)
	serve(t, g.tenants.netns(), []string{"80"}, nil)
	link, err := netlink.LinkByName("under0")
	if err != nil {
		t.Fatal(err)
	}
	g.published.now = []opening{{Protocol: store.ProtocolTCP, Port: 80, Transit: tenantAddr, Address: floatA}}
	g.published.moved = newBell()
	at := spot{floatA, link.Attrs().Index}
	tabled := func() bool { _, tabled, _ := g.published.floating(); return tabled[floatA] }
	sees := func() string { return probe(t, g.outside.netns(), "tcp4", "172.30.0.50:80") }
	g.setUp()
	if err := at.put(); err != nil {
		t.Fatal(err)
	}
	if got := sees(); got != floatA.String() || !tabled() {
		t.Fatalf("by the floating address the outside reaches who sees %q, and not the tenant, who sees whom it asked for", got)
	}
	g.run("ip", "addr", "add", floatA.String()+"/24", "dev", "under0")
	g.setUp() // the floating one is here yet
	if got := sees(); got != "172.30.0.254" || tabled() {
		t.Errorf("by its own address the host is not reached: who answers sees %q", got)
	}
	if err := at.takeOff(); err != nil {
		t.Fatal(err)
	}
	g.run("ip", "addr", "del", floatA.String()+"/24", "dev", "under0")
	g.setUp()
	if !tabled() {
		t.Error("once it is no host's own it does not float again")
	}
}

// A floating address comes when it is published here, whatever an agent before did, and goes when it is not, or when another machine says that it has it
// and etcd does not say that it is this host's. One that somebody else gave to the host is left alone.
func TestFloatingKeeper(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	h.put(store.SettingsKey(), &store.Settings{Floating: []store.AddressRange{{First: floatA, Last: floatB}}})
	h.put(store.GatewayKey("alice"), &store.Gateway{Active: "h1", Epoch: 1})
	events, _, err := h.client.List(t.Context(), store.KindTenant)
	at := slices.IndexFunc(events, func(e store.Event) bool { return e.Key == store.TenantKey("alice") })
	if err != nil || at < 0 {
		t.Fatalf("%v, %v", events, err)
	}
	web := store.Publication{TenantCreated: events[at].Created, Network: "default", Port: "web", Protocol: store.ProtocolTCP, First: 80, On: 80, Count: 1, Address: floatA}
	h.put(store.PublicationKey("alice", "tcp-80"), &web)
	other := web
	other.On, other.Address = 81, floatB
	h.put(store.PublicationKey("alice", "tcp-81"), &other)
	h.run("ip", "addr", "add", floatB.String()+"/24", "dev", "under0") // by hand
	h.run("ip", "addr", "add", "172.30.0.52/32", "dev", "under0", "label", floatingLabel)
	a, _, stop := h.agent()
	has := func(address string) bool {
		return strings.Contains(h.run("ip", "addr", "show", "dev", "under0"), "inet "+address)
	}
	h.eventually("the address is here, and what an earlier agent left is not", func() bool {
		return has("172.30.0.50/32") && !has("172.30.0.52/")
	})
	h.eventually("that the host has one itself is told", func() bool {
		return slices.ContainsFunc(a.Status().Problems, func(p string) bool {
			return strings.Contains(p, "floating conflicts: floating address 172.30.0.51 is published, and this host has it itself")
		})
	})
	if !has("172.30.0.51/24") || has("172.30.0.51/32") {
		t.Error("an address that somebody gave to the host is changed")
	}
	stop()
	if !has("172.30.0.50/32") {
		t.Error("it goes with the agent")
	}
	a, _, _ = h.agent()
	rival := func() {
		frame := arpAnnouncement(store.MAC{2, 0, 0, 0, 0, 9}, floatA, everybody)
		h.send("under1", frame)
	}
	h.eventually("who says that it has the address is a problem", func() bool {
		rival()
		return slices.ContainsFunc(a.Status().Problems, func(p string) bool { return strings.Contains(p, "02:00:00:00:00:09") })
	})
	if !has("172.30.0.50/32") {
		t.Error("an address is given up that etcd says is this host's")
	}
	h.server.Close()
	h.eventually("while etcd is away it is given up", func() bool {
		rival()
		return !has("172.30.0.50/")
	})
	h.serveStore(t.Context())
	h.eventually("once etcd says again that it is this host's it comes back", func() bool { return has("172.30.0.50/32") })
	if _, err := h.client.Delete(t.Context(), store.PublicationKey("alice", "tcp-80")); err != nil {
		t.Fatal(err)
	}
	h.eventually("it goes with its publication", func() bool { return !has("172.30.0.50/") })
	h.eventually("and then from the table", func() bool { return !strings.Contains(h.run("nft", "list", "table", "inet", tableName), "172.30.0.50") })
}
