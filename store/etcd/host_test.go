package etcd

import (
	"errors"
	"fmt"
	"testing"
	"time"

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
