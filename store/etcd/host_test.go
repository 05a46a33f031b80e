package etcd

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/store"
)

// lost waits until a registration or lease is lost.
func lost(t *testing.T, ch <-chan struct{}) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(deadline):
		t.Fatal("it was never lost")
	}
}

func TestRegisterHost(t *testing.T) {
	c := start(t)
	first, err := c.RegisterHost(testContext(t), "h1", hostObject("h1"))
	if err != nil {
		t.Fatal(err)
	}
	_, written, err := c.Get(testContext(t), store.HostKey("h1"))
	if err != nil || written != first.Created {
		t.Fatalf("host written at %d, registered at %d: %v", written, first.Created, err)
	}

	// The same agent, started again: the host's key stays as it is.
	second, err := c.RegisterHost(testContext(t), "h1", hostObject("h1"))
	if err != nil {
		t.Fatal(err)
	}
	if _, again, err := c.Get(testContext(t), store.HostKey("h1")); err != nil || again != written || second.Created != first.Created {
		t.Errorf("registered again: created %d, modified %d, want both %d (%v)", second.Created, again, written, err)
	}
	lost(t, first.Lost())
	expect(t, first.Err(), store.ErrHostTaken, "same incarnation")
	if err := first.Close(); err != nil {
		t.Error(err)
	}

	// The agent with another address.
	moved := hostObject("h1")
	moved.UnderlayMTU = 9000
	third, err := c.RegisterHost(testContext(t), "h1", moved)
	if err != nil {
		t.Fatal(err)
	}
	if got := get[store.Host](t, c, store.HostKey("h1")); got.UnderlayMTU != 9000 || third.Created != first.Created {
		t.Errorf("host %+v created at %d", got, third.Created)
	}

	// Another machine under the same name: refused while the first lives, and after.
	other := hostObject("other")
	_, err = c.RegisterHost(testContext(t), "h1", other)
	expect(t, err, store.ErrHostTaken, "another agent runs")
	if err := third.Close(); err != nil {
		t.Fatal(err)
	}
	if third.Err() != nil {
		t.Errorf("after Close: %v", third.Err())
	}
	_, err = c.RegisterHost(testContext(t), "h1", other)
	expect(t, err, store.ErrHostTaken, "sluice host delete h1")

	if _, err := c.DeleteHost(testContext(t), "h1"); err != nil {
		t.Fatal(err)
	}
	fourth, err := c.RegisterHost(testContext(t), "h1", other)
	if err != nil {
		t.Fatal(err)
	}
	if fourth.Created <= third.Created {
		t.Errorf("registered anew at %d, before at %d", fourth.Created, third.Created)
	}
	fourth.Close()
}

func TestConcurrentRegistrations(t *testing.T) {
	c := start(t)
	ctx := testContext(t)
	made := 0
	for i, err := range together(10, func(i int) error {
		r, err := c.RegisterHost(ctx, "h1", hostObject(numbered(i)))
		if err == nil {
			t.Cleanup(func() { r.Close() })
		}
		return err
	}) {
		if err == nil {
			made++
		} else if !errors.Is(err, store.ErrHostTaken) {
			t.Errorf("agent %d: %v", i, err)
		}
	}
	if made != 1 {
		t.Errorf("%d agents have the name", made)
	}
}

func TestRegistrationEnds(t *testing.T) {
	c := start(t)
	r, err := c.RegisterHost(testContext(t), "h1", hostObject("h1"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.etcd.Revoke(testContext(t), r.Lease.ID); err != nil {
		t.Fatal(err)
	}
	lost(t, r.Lost())
	expect(t, r.Err(), store.ErrLeaseLost, "h1")

	r, err = c.RegisterHost(testContext(t), "h1", hostObject("h1"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeleteHost(testContext(t), "h1"); err != nil {
		t.Fatal(err)
	}
	lost(t, r.Lost())
	expect(t, r.Err(), store.ErrHostGone, "h1")
	r.Close()
}

func TestDeleteHost(t *testing.T) {
	c := start(t)
	first := register(t, c, "h1")
	register(t, c, "h2")
	createTenant(t, c, store.TenantSpec{Name: "alice"})
	createPort(t, c, portSpec("h2", "alice", "stays"))
	for i := range 100 {
		createPort(t, c, portSpec("h1", "alice", fmt.Sprintf("p%d", i)))
	}
	gone, err := c.DeleteHost(testContext(t), "h1")
	if err != nil {
		t.Fatal(err)
	}
	for prefix, want := range map[string]int{"hosts/": 1, "live/hosts/": 1, "ports/": 1, "alloc/ports/": 1, "alloc/addresses/": 1, "alloc/macs/": 1, "alloc/port-numbers/": 101} {
		if got := keysUnder(t, c, prefix); len(got) != want {
			t.Errorf("%d keys under %s, want %d: %v", len(got), prefix, want, got)
		}
	}
	if said := get[store.Farewell](t, c, store.FarewellKey("h1")); said.Created != first || said.Incarnation != "incarnation of h1" {
		t.Errorf("the farewell is %+v", said)
	}
	if n := releasePassed(t, c, gone); n != 100 {
		t.Errorf("released %d", n)
	}
	spec := portSpec("h1", "alice", "late")
	spec.HostCreated = first
	_, err = c.CreatePort(testContext(t), spec)
	expect(t, err, store.ErrHostGone)

	// Registered anew, its old agent is still refused, and a clearing run that comes late
	// leaves the new ports alone.
	register(t, c, "h1")
	_, err = c.CreatePort(testContext(t), spec)
	expect(t, err, store.ErrHostGone)
	port := createPort(t, c, portSpec("h1", "alice", "new"))
	if _, err := c.DeletePort(testContext(t), port.Key, first); !errors.Is(err, store.ErrHostGone) {
		t.Errorf("delete by the old agent: %v", err)
	}
	if _, err := c.ClearHost(testContext(t), "h1", gone); err != nil {
		t.Fatal(err)
	}
	get[store.Port](t, c, port.Key)
	if _, err := c.DeleteHost(testContext(t), "h9"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("delete of no host: %v", err)
	}
}

// An absence is no word: the ports of a host are cleared because it is not registered only while it
// is not.
func TestClearHostOnlyWhileItIsGone(t *testing.T) {
	c := start(t)
	register(t, c, "h1")
	createTenant(t, c, store.TenantSpec{Name: "alice"})
	createPort(t, c, portSpec("h1", "alice", "a1"))
	unreadable := store.PortKey("h1", "alice", "default", "a2").String()
	made, err := c.etcd.Put(testContext(t), unreadable, "rubbish")
	if err != nil {
		t.Fatal(err)
	}
	before := dumped(t, c)
	if _, err := c.ClearHost(testContext(t), "h1", store.Revision(made.Header.Revision)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, dumped(t, c)); diff != "" {
		t.Errorf("while it is registered (-before +after):\n%s", diff)
	}
	put(store.HostKey("h1"), nil)(t, c)
	if _, err := c.ClearHost(testContext(t), "h1", store.Revision(made.Header.Revision)); err != nil {
		t.Fatal(err)
	}
	if left := keysUnder(t, c, "ports/"); len(left) > 0 {
		t.Errorf("once it is not, %v are left", left)
	}
}

// Of two ports that claim one address the one that is removed frees what is its own, and no more.
func TestRemovalFreesOnlyItsOwn(t *testing.T) {
	c := start(t)
	host := register(t, c, "h1")
	createTenant(t, c, store.TenantSpec{Name: "alice"})
	older, younger := createPort(t, c, portSpec("h1", "alice", "a1")), createPort(t, c, portSpec("h1", "alice", "a2"))
	edited := *younger.Value
	edited.Addresses, edited.Number = older.Value.Addresses, older.Value.Number
	put(younger.Key, &edited)(t, c)
	if _, err := c.DeletePort(testContext(t), younger.Key, host); err != nil {
		t.Fatal(err)
	}
	for _, taken := range store.TakenBy(older.Key, older.Value) {
		if a := get[store.Alloc](t, c, taken.Key()); a.Owner != older.Key.Short() || a.Freed {
			t.Errorf("%s is %+v", taken.Key().Short(), a)
		}
	}
}

// Ports made while their host is deleted: none is left, and none of what they took.
func TestDeleteHostAgainstCreatePort(t *testing.T) {
	c := start(t)
	createTenant(t, c, store.TenantSpec{Name: "alice"})
	ctx := testContext(t)
	for round := range 8 {
		host := register(t, c, "h1")
		errs := together(8, func(i int) error {
			if i == 4 {
				return second(c.DeleteHost(ctx, "h1"))
			}
			spec := portSpec("h1", "alice", numbered(i))
			spec.HostCreated = host
			return second(c.CreatePort(ctx, spec))
		})
		for i, err := range errs {
			if err != nil && !errors.Is(err, store.ErrHostGone) {
				t.Errorf("round %d, operation %d: %v", round, i, err)
			}
		}
		if got := append(keysUnder(t, c, "ports/"), keysUnder(t, c, "alloc/ports/")...); len(got) > 0 {
			t.Errorf("round %d: left: %v", round, got)
		}
	}
}

// TestUpdateHost tells of a host's new addresses: the registration stays, and one that was lost
// writes nothing.
func TestUpdateHost(t *testing.T) {
	c := start(t)
	r, err := c.RegisterHost(testContext(t), "h1", hostObject("h1"))
	if err != nil {
		t.Fatal(err)
	}
	h := hostObject("h1")
	update := func(r *Registration, mtu int) error {
		h.UnderlayMTU = mtu
		return r.Update(testContext(t), h)
	}
	_, at, err := c.Get(testContext(t), store.HostKey("h1"))
	if err != nil {
		t.Fatal(err)
	}
	heard := c.AddressesChanged(testContext(t), at)
	if err := update(r, 1400); err != nil {
		t.Fatal(err)
	}
	<-heard
	if got := get[store.Host](t, c, store.HostKey("h1")); got.UnderlayMTU != 1400 || r.Err() != nil {
		t.Errorf("after the update the host is %+v, the registration lost by %v", got, r.Err())
	}

	second, err := c.RegisterHost(testContext(t), "h1", h)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, update(r, 1300), store.ErrHostTaken, "host h1")
	if _, err := c.DeleteHost(testContext(t), "h1"); err != nil {
		t.Fatal(err)
	}
	expect(t, update(second, 1200), store.ErrHostGone, "host h1")
	if _, err := c.RegisterHost(testContext(t), "h1", h); err != nil {
		t.Fatal(err)
	}
	expect(t, update(second, 1100), store.ErrHostGone, "host h1")
}

// What tenants use is told under the registration, and read by what is newer than the last reading.
func TestTellUsage(t *testing.T) {
	c := start(t)
	ctx := testContext(t)
	hold := func(host string) *Registration {
		t.Helper()
		r, err := c.RegisterHost(ctx, host, hostObject(host))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r1, r2 := hold("h1"), hold("h2")
	usage := func(n int) store.Usage { return store.UsageOf(map[uint32]store.Used{7: {Connections: n}}) }
	read := func(after store.Revision) (told string, at store.Revision) {
		t.Helper()
		events, at, err := c.Usages(ctx, after)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			told += fmt.Sprint(e.Key.Host, ":", e.Object.(*store.Usage).Of(7).Connections, " ")
		}
		return told, at
	}
	for _, tell := range []struct {
		under *Registration
		n     int
	}{{r1, 1}, {r2, 2}} {
		if err := tell.under.TellUsage(ctx, usage(tell.n)); err != nil {
			t.Fatal(err)
		}
	}
	told, at := read(0)
	if told != "h1:1 h2:2 " {
		t.Errorf("told %q", told)
	}
	if told, again := read(at); told != "" || again != at {
		t.Errorf("nothing is new, and told %q at %d, read at %d", told, again, at)
	}
	if err := r2.TellUsage(ctx, usage(3)); err != nil {
		t.Fatal(err)
	}
	if told, _ := read(at); told != "h2:3 " {
		t.Errorf("new is %q", told)
	}
	taken := hold("h1")
	expect(t, r1.TellUsage(ctx, usage(4)), store.ErrHostTaken, "tell what tenants use on host h1")
	if _, err := c.DeleteHost(ctx, "h1"); err != nil {
		t.Fatal(err)
	}
	expect(t, taken.TellUsage(ctx, usage(5)), store.ErrHostGone, "host h1")
	if told, _ := read(0); told != "h1:1 h2:3 " {
		t.Errorf("what a host told that is gone stays; there is %q", told)
	}
}

// A VTEP is one host's: a second is refused while the first is registered, whichever way it has its
// own, and a delete or another address gives it free.
func TestVTEPIsOneHosts(t *testing.T) {
	c := start(t)
	ctx := testContext(t)
	second := hostObject("new")
	second.VTEPs = hostObject("old").VTEPs
	says := []string{"VTEP " + second.VTEPs[0].String(), "host old", "sluice host delete old", "--vtep"}
	refused := func() {
		t.Helper()
		_, err := c.RegisterHost(ctx, "new", second)
		expect(t, err, store.ErrTaken, says...)
	}
	register(t, c, "old")
	refused()
	taken := store.AllocKey("vteps", second.VTEPs[0].String())
	if _, err := c.etcd.Delete(ctx, taken.String()); err != nil { // as of a host that registered before there were such keys
		t.Fatal(err)
	}
	refused()
	if _, err := c.DeleteHost(ctx, "old"); err != nil {
		t.Fatal(err)
	}
	r, err := c.RegisterHost(ctx, "new", second)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	second.VTEPs = []netip.Addr{vtepOf("elsewhere")}
	if r, err = c.RegisterHost(ctx, "new", second); err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	register(t, c, "old")
	if got, want := keysUnder(t, c, "alloc/vteps/"), 2; len(got) != want {
		t.Errorf("VTEPs taken: %v, want %d", got, want)
	}
	for _, name := range []string{"new", "old"} {
		if _, err := c.DeleteHost(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	if got := append(keysUnder(t, c, "alloc/vteps/"), keysUnder(t, c, "alloc/datapath-ids/")...); len(got) > 0 {
		t.Errorf("left of deleted hosts: %v", got)
	}
}

// A host whose own key somebody deleted by hand takes what it left.
func TestHostDeletedByHandRegistersAgain(t *testing.T) {
	c := start(t)
	register(t, c, "h1")
	if _, err := c.etcd.Delete(testContext(t), store.HostKey("h1").String()); err != nil {
		t.Fatal(err)
	}
	register(t, c, "h1")
	second := hostObject("h2")
	second.VTEPs = hostObject("h1").VTEPs
	_, err := c.RegisterHost(testContext(t), "h2", second)
	expect(t, err, store.ErrTaken, "host h1")
}

// Of hosts that register with one VTEP at one time one does.
func TestConcurrentHostsWithOneVTEP(t *testing.T) {
	c := start(t)
	ctx := testContext(t)
	made := 0
	for i, err := range together(10, func(i int) error {
		h := hostObject(numbered(i))
		h.VTEPs = []netip.Addr{vtepOf("h")}
		r, err := c.RegisterHost(ctx, numbered(i), h)
		if err == nil {
			t.Cleanup(func() { r.Close() })
		}
		return err
	}) {
		if err == nil {
			made++
		} else if !errors.Is(err, store.ErrTaken) && !errors.Is(err, store.ErrConflict) {
			t.Errorf("agent %d: %v", i, err)
		}
	}
	if made != 1 {
		t.Errorf("%d hosts have the VTEP", made)
	}
}

// A host that cannot be read is deleted nevertheless.
func TestDeleteUnreadableHost(t *testing.T) {
	c := start(t)
	ctx := testContext(t)
	register(t, c, "h1")
	if _, err := c.etcd.Put(ctx, store.HostKey("h1").String(), "{"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.RegisterHost(ctx, "h1", hostObject("h1")); err == nil {
		t.Error("it was registered over what nobody can read")
	}
	if _, err := c.DeleteHost(ctx, "h1"); err != nil {
		t.Fatal(err)
	}
	if got := keysUnder(t, c, "hosts/"); len(got) > 0 {
		t.Errorf("left: %v", got)
	}
}

// A farewell goes only as it was read, and while its host is absent and has no ports, also none that
// cannot be read.
func TestFarewellsAreForgotten(t *testing.T) {
	c := start(t)
	ctx := testContext(t)
	for _, name := range []string{"h1", "h2", "h3", "h4"} {
		register(t, c, name)
		if _, err := c.DeleteHost(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	list, _, err := c.List(ctx, store.KindFarewell)
	if err != nil || len(list) != 4 {
		t.Fatalf("farewells %v, %v", list, err)
	}
	if said := list[0].Object.(*store.Farewell); said.At.IsZero() || said.Spent(said.At.Add(farewellDays-1)) || !said.Spent(said.At.Add(farewellDays)) {
		t.Errorf("it was said at %v", said.At)
	}
	register(t, c, "h2")
	if _, err := c.etcd.Put(ctx, store.PortKey("h3", "alice", "default", "a1").String(), "rubbish"); err != nil {
		t.Fatal(err)
	}
	put(store.FarewellKey("h4"), &store.Farewell{Incarnation: "y"})(t, c)
	if gone, err := c.ForgetFarewells(ctx, list); err != nil || !slices.Equal(gone, []string{"h1"}) {
		t.Errorf("forgot %v, %v", gone, err)
	}
	if left := keysUnder(t, c, "farewells/"); !slices.Equal(left, []string{"farewells/h2", "farewells/h3", "farewells/h4"}) {
		t.Errorf("left: %v", left)
	}
}

// farewellDays is how long the documentation says that a farewell waits.
const farewellDays = 30 * 24 * time.Hour
