package hostagent

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/store"
)

var compareAddrs = cmp.Options{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

func hostEvent(name string, vtep string, more ...string) store.Event {
	return store.Event{Key: store.HostKey(name), Object: &store.Host{VTEPs: addrs(vtep), Addresses: addrs(more...)}}
}

func TestMembersOf(t *testing.T) {
	controllers := []store.Event{{Key: store.LiveControllerKey("c1"), Object: &store.LiveController{Addresses: addrs("192.0.2.100")}}}
	hosts := []store.Event{
		hostEvent("h1", "172.30.0.1", "172.30.0.1", "192.0.2.1"),
		hostEvent("h2", "172.30.0.2", "192.0.2.2", "2001:db8::2", "127.0.0.1", "fe80::2", "224.0.0.1"),
	}
	got := membersOf(hosts, controllers, addrs("198.51.100.9", "192.0.2.2"), netip.MustParseAddr("172.30.0.1"))
	want := members{
		Told: true, Peers: addrs("172.30.0.2"),
		Closed: addrs("172.30.0.1", "172.30.0.2", "192.0.2.1", "192.0.2.2", "192.0.2.100", "198.51.100.9", "2001:db8::2"),
	}
	if diff := cmp.Diff(want, got, compareAddrs); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// Who tells that an address is its own is known by name.
func TestClaims(t *testing.T) {
	controllers := []store.Event{{Key: store.LiveControllerKey("c1"), Object: &store.LiveController{Addresses: addrs("192.0.2.100")}}}
	got := claimsOf([]store.Event{hostEvent("h2", "172.30.0.2", "::ffff:192.0.2.2")}, controllers, addrs("198.51.100.9"))
	want := map[netip.Addr]string{}
	for a, who := range map[string]string{"172.30.0.2": "host h2", "192.0.2.2": "host h2", "192.0.2.100": "controller c1", "198.51.100.9": "a controller or a member of etcd"} {
		want[netip.MustParseAddr(a)] = who
	}
	if diff := cmp.Diff(want, got, compareAddrs); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// A host that was told of one member of etcd closes those too of which a controller tells.
func TestAllOfEtcdIsClosed(t *testing.T) {
	h := newHost(t)
	for name, etcd := range map[string][]string{"c1": {"198.51.100.11", "198.51.100.12"}, "c2": {"198.51.100.12", "198.51.100.13", "127.0.0.1"}} {
		if _, err := h.client.PutIf(t.Context(), store.LiveControllerKey(name), &store.LiveController{Etcd: etcd}, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	o := h.options
	o.Names = []string{"198.51.100.11"}
	got, err := newInfrastructure(o, newProblems(o.Log), newBell()).should(t.Context())
	want := addrs("198.51.100.11", "198.51.100.12", "198.51.100.13") // loopback is each machine's own
	if diff := cmp.Diff(want, got.Closed, compareAddrs); diff != "" || err != nil {
		t.Errorf("error %v, -want +got\n%s", err, diff)
	}
}

// One host cannot fill the tables of all.
func TestAHostTellsTooManyAddresses(t *testing.T) {
	h := &store.Host{}
	for n := range store.MaxHostAddresses + 10 {
		h.Addresses = append(h.Addresses, netip.AddrFrom4([4]byte{192, 0, byte(n >> 8), byte(n)}))
	}
	m := membersOf([]store.Event{{Object: h}}, nil, nil, netip.Addr{})
	if got := len(m.Closed); got != store.MaxHostAddresses {
		t.Errorf("%d addresses are closed, want %d", got, store.MaxHostAddresses)
	}
}

// TestAbsentAddresses goes through what is told over time: what comes is known at once, what goes
// stays for a while, and an agent that restarts begins with what the last one knew.
func TestAbsentAddresses(t *testing.T) {
	o := Options{StateDir: t.TempDir()}
	changed := newBell()
	i := newInfrastructure(o, nil, changed)
	for _, c := range []struct {
		name       string
		told, want []string
		later      time.Duration // before it is told
		rings      bool
	}{
		{"the first", []string{"192.0.2.1", "192.0.2.2"}, []string{"192.0.2.1", "192.0.2.2"}, 0, true},
		{"the same", []string{"192.0.2.1", "192.0.2.2"}, []string{"192.0.2.1", "192.0.2.2"}, 0, false},
		{"one more, one less", []string{"192.0.2.2", "192.0.2.3"}, []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}, 0, true},
		{"all gone", nil, []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}, absenceTime / 2, false},
		{"one is back", []string{"192.0.2.2"}, []string{"192.0.2.2", "192.0.2.3"}, absenceTime / 2, true},
		{"the absent are forgotten", []string{"192.0.2.2"}, []string{"192.0.2.2"}, absenceTime / 2, true},
	} {
		for a, since := range i.absent {
			i.absent[a] = since.Add(-c.later)
		}
		told, want := addrs(c.told...), addrs(c.want...)
		if err := i.makeSo(t.Context(), members{Told: true, Closed: told, Peers: told}, i.known()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(members{Told: true, Closed: want, Peers: want}, i.known(), compareAddrs); diff != "" {
			t.Errorf("%s: -want +got\n%s", c.name, diff)
		}
		if rang := len(changed) > 0; rang != c.rings {
			t.Errorf("%s: the bell rang %v, want %v", c.name, rang, c.rings)
		} else if rang {
			<-changed
		}
	}
	later := newInfrastructure(o, nil, changed)
	if err := later.load(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(i.known(), later.known(), compareAddrs); diff != "" {
		t.Errorf("after a restart: -want +got\n%s", diff)
	}
	if err := os.WriteFile(i.memory(), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := later.load(); err != nil || later.known().Told {
		t.Errorf("of a file cut short it knows %+v, error %v; want nothing", later.known(), err)
	}
}

// TestResolver asks for names whose meaning changes, and that fail to resolve.
func TestResolver(t *testing.T) {
	zone := map[string][]netip.Addr{"c1.example": addrs("192.0.2.1")}
	names := []string{"c1.example", "c2.example", "198.51.100.7"}
	r := lookups{found: make(map[string][]netip.Addr), lookup: func(_ context.Context, _, host string) ([]netip.Addr, error) {
		if zone[host] == nil {
			return nil, errors.New("no such name")
		}
		return zone[host], nil
	}}
	for _, c := range []struct {
		name   string
		change func()
		want   []netip.Addr
		failed bool
	}{
		{"one means nothing", func() {}, addrs("192.0.2.1", "198.51.100.7"), true},
		{"it is not looked up again at once", func() { zone["c2.example"] = addrs("192.0.2.2") }, addrs("192.0.2.1", "198.51.100.7"), true},
		{"but later", func() { r.next = time.Time{} }, addrs("192.0.2.1", "192.0.2.2", "198.51.100.7"), false},
		{"a name that fails means what it meant", func() { r.next, zone["c1.example"] = time.Time{}, nil }, addrs("192.0.2.1", "192.0.2.2", "198.51.100.7"), false},
		{"one more name is looked up at once", func() { zone["e2.example"], names = addrs("192.0.2.12"), append(names, "e2.example") }, addrs("192.0.2.1", "192.0.2.2", "198.51.100.7", "192.0.2.12"), false},
		{"a name that moved", func() { r.next, zone["c1.example"] = time.Time{}, addrs("192.0.2.3") }, addrs("192.0.2.3", "192.0.2.2", "198.51.100.7", "192.0.2.12"), false},
	} {
		c.change()
		got, err := r.resolve(t.Context(), names)
		if diff := cmp.Diff(c.want, got, compareAddrs); diff != "" || (err != nil) != c.failed {
			t.Errorf("%s: error %v, -want +got\n%s", c.name, err, diff)
		}
	}
}
