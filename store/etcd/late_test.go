package etcd

import (
	"errors"
	"testing"

	"sluice/pki"
	"sluice/store"
	"sluice/store/etcd/wire"
)

// What a former life of an agent sent is refused once its next start has registered, however late it comes: a port, a
// reservation, and a port that is taken back. So what the next start finds and undoes does not come back.
func TestAWriteOfAFormerLifeIsRefused(t *testing.T) {
	s := serveSecured(t)
	controller := s.as(pki.Controller("c1"))
	enrol(t, controller, "h1")
	createTenant(t, controller, store.TenantSpec{Name: "alice"})
	h1 := s.as(pki.Host("h1"))
	former, err := h1.RegisterHost(testContext(t), "h1", hostObject("h1"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { former.Close() })
	held := func(r *Registration, name string) store.PortSpec {
		spec := portSpec("h1", "alice", name)
		spec.HostCreated, spec.HostLease = r.Created, int64(r.Lease.ID)
		return spec
	}
	kept := createPort(t, h1, held(former, "kept"))
	late := held(former, "late")
	state, err := h1.view(testContext(t), store.TenantKey("alice").String(), store.NetworkKey("alice", store.DefaultNetwork).String(),
		store.HostKey("h1").String(), late.Key().String())
	if err != nil {
		t.Fatal(err)
	}
	under, err := late.Propose(state, 1) // what the process had sent when it was killed
	if err != nil {
		t.Fatal(err)
	}

	next := s.as(pki.Host("h1"))
	again, err := next.RegisterHost(testContext(t), "h1", hostObject("h1"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { again.Close() })
	if again.Created != former.Created {
		t.Fatalf("the host was created at %d and now at %d: that alone would refuse it", former.Created, again.Created)
	}
	if _, err := h1.write(testContext(t), under); !errors.Is(err, store.ErrLeaseLost) {
		t.Errorf("a transaction of the former life: %v", err)
	}
	r := reservation("h1", "docker-1")
	r.HostLease = int64(former.Lease.ID)
	if _, err := h1.Reserve(testContext(t), r); !errors.Is(err, store.ErrLeaseLost) {
		t.Errorf("a reservation of the former life: %v", err)
	}
	back := store.Readoption{Key: late.Key(), Port: *kept.Value, HostLease: int64(former.Lease.ID)}
	back.Port.UID = late.UID
	if _, err := h1.TakePortBack(testContext(t), back); !errors.Is(err, store.ErrLeaseLost) {
		t.Errorf("a port that the former life takes back: %v", err)
	}
	move := held(former, "kept")
	move.UID, move.ContainerID = kept.Value.UID, "another"
	if _, err := h1.CreatePort(testContext(t), move); !errors.Is(err, store.ErrLeaseLost) {
		t.Errorf("a port that the former life takes over: %v", err)
	}
	if o, _, err := next.Get(testContext(t), late.Key()); o != nil || err != nil {
		t.Errorf("the port of the former life is there: %v, %v", o, err)
	}
	createPort(t, next, held(again, "late"))
}

// A connection that is cut takes no hold away: the registration's lease lives on.
func TestAReconnectIsTheSameLife(t *testing.T) {
	c := start(t)
	createTenant(t, c, store.TenantSpec{Name: "alice"})
	p := wire.To(t, c.endpoints)
	through := connect(t, p.URL())
	r, err := through.RegisterHost(testContext(t), "h1", hostObject("h1"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	p.Cut()
	p.Join()
	spec := portSpec("h1", "alice", "a1")
	spec.HostCreated, spec.HostLease = r.Created, int64(r.Lease.ID)
	for ctx := testContext(t); ; { // what is sent into a cut connection is lost: an agent asks again
		_, err := through.CreatePort(ctx, spec)
		if err == nil {
			return
		}
		if !errors.Is(err, store.ErrUnavailable) || ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}
