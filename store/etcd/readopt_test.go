package etcd

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
)

// A port that etcd lost comes back as it was, with all that it takes: also where some of that
// was not lost, or was freed by its own delete.
func TestPortIsTakenBack(t *testing.T) {
	for _, lost := range []struct {
		name string
		lose func(t *testing.T, c *Client, key store.Key)
	}{
		{"all of it", func(t *testing.T, c *Client, key store.Key) {
			if _, err := c.DeletePort(testContext(t), key, 0); err != nil {
				t.Fatal(err)
			}
			for _, prefix := range []string{"alloc/ports/", "alloc/port-numbers/", "alloc/macs/", "alloc/addresses/"} {
				if _, err := c.etcd.Delete(testContext(t), store.Prefix+prefix, clientv3.WithPrefix()); err != nil {
					t.Fatal(err)
				}
			}
		}},
		{"its key alone, by hand", func(t *testing.T, c *Client, key store.Key) {
			if _, err := c.etcd.Delete(testContext(t), key.String()); err != nil {
				t.Fatal(err)
			}
		}},
		{"it was deleted: its number is a tombstone", func(t *testing.T, c *Client, key store.Key) {
			if _, err := c.DeletePort(testContext(t), key, 0); err != nil {
				t.Fatal(err)
			}
		}},
		{"nothing", func(*testing.T, *Client, store.Key) {}},
	} {
		t.Run(lost.name, func(t *testing.T) {
			c := start(t)
			created := register(t, c, "h1")
			createTenant(t, c, store.TenantSpec{Name: "alice"})
			was := createPort(t, c, portSpec("h1", "alice", "a1"))
			before := dumped(t, c)
			lost.lose(t, c, was.Key)
			back, err := c.TakePortBack(testContext(t), store.Readoption{Key: was.Key, Port: *was.Value, HostCreated: created})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(was.Value, back.Value, comparers...); diff != "" {
				t.Errorf("-was +is\n%s", diff)
			}
			if diff := cmp.Diff(before, dumped(t, c)); diff != "" {
				t.Errorf("etcd: -before +after\n%s", diff)
			}
			if now := get[store.Port](t, c, was.Key); now.UID != was.Value.UID || back.Created == 0 {
				t.Errorf("in etcd %+v, created at %d", now, back.Created)
			}
		})
	}
}

// What another has meanwhile is told; only its number may be another than before.
func TestPortThatCannotBeTakenBack(t *testing.T) {
	c := start(t)
	created := register(t, c, "h1")
	createTenant(t, c, store.TenantSpec{Name: "alice"})
	was := createPort(t, c, portSpec("h1", "alice", "a1"))
	if _, err := c.DeletePort(testContext(t), was.Key, 0); err != nil {
		t.Fatal(err)
	}
	other := portSpec("h1", "alice", "b1")
	other.Addresses = []netip.Addr{was.Value.Addresses[0].Addr()}
	b1 := createPort(t, c, other)
	refusal := func(change func(*store.Readoption)) string {
		r := store.Readoption{Key: was.Key, Port: *was.Value, HostCreated: created}
		change(&r)
		_, err := c.TakePortBack(testContext(t), r)
		if err == nil {
			return "taken back"
		}
		return err.Error()
	}
	for _, tc := range []struct {
		name   string
		change func(*store.Readoption)
		says   string
	}{
		{"its address is another's", func(*store.Readoption) {}, "address " + other.Addresses[0].String() + ": taken by ports/h1/alice/default/b1"},
		{"its name is", func(r *store.Readoption) { r.Key = b1.Key }, "another port has its name"},
		{"its network is gone", func(r *store.Readoption) { r.Key.Network = "web" }, "network alice/web: not found"},
		{"its host is another", func(r *store.Readoption) { r.HostCreated++ }, "host deleted"},
		{"its subnet is gone", func(r *store.Readoption) { r.Port.Addresses = prefixes("192.0.2.7/24") }, "address 192.0.2.7: invalid"},
	} {
		if got := refusal(tc.change); !strings.Contains(got, tc.says) {
			t.Errorf("%s: %q does not say %q", tc.name, got, tc.says)
		}
	}
	if _, err := c.DeletePort(testContext(t), b1.Key, 0); err != nil {
		t.Fatal(err)
	}
	r := store.Readoption{Key: was.Key, Port: *was.Value, HostCreated: created}
	r.Port.Number = b1.Value.Number // a tombstone, of another
	back, err := c.TakePortBack(testContext(t), r)
	if err != nil || back.Value.Number == b1.Value.Number || back.Value.MAC != was.Value.MAC {
		t.Errorf("with a number of another's: %+v, %v", back.Value, err)
	}
}
