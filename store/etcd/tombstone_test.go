package etcd

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/store"
)

// releasePassed releases all tombstones that were freed at or before a revision.
func releasePassed(t testing.TB, c *Client, realized store.Revision) int {
	t.Helper()
	list, _, err := c.Tombstones(testContext(t), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	list = slices.DeleteFunc(list, func(s Tombstone) bool { return s.Freed > realized })
	n, err := c.ReleaseTombstones(testContext(t), list)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func sortTombstones(list []Tombstone) []Tombstone {
	slices.SortFunc(list, func(a, b Tombstone) int { return strings.Compare(a.path, b.path) })
	return list
}

// Who sees an object being deleted knows the tombstones that a list finds.
func TestTombstonesOfAreThoseFound(t *testing.T) {
	c := start(t)
	register(t, c, "h1")
	createTenant(t, c, store.TenantSpec{Name: "alice", Segmentation: store.SegmentationVLAN})
	createTenant(t, c, store.TenantSpec{Name: "stays"})
	createPort(t, c, portSpec("h1", "stays", "s1"))
	port := createPort(t, c, portSpec("h1", "alice", "a1"))
	tenant, network := store.TenantKey("alice"), store.NetworkKey("alice", "default")
	tenantValue, networkValue := get[store.Tenant](t, c, tenant), get[store.Network](t, c, network)

	gone, err := c.DeletePort(testContext(t), port.Key, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := TombstonesOf(port.Key, port.Value, gone)
	if gone, err = c.DeleteTenant(testContext(t), "alice"); err != nil {
		t.Fatal(err)
	}
	want = append(want, TombstonesOf(tenant, tenantValue, gone)...)
	want = append(want, TombstonesOf(network, networkValue, gone)...)
	got, more, err := c.Tombstones(testContext(t), 4)
	if err != nil || more {
		t.Fatalf("more %v, %v", more, err)
	}
	if diff := cmp.Diff(sortTombstones(want), sortTombstones(got), cmp.AllowUnexported(Tombstone{})); diff != "" {
		t.Errorf("known (-), found (+):\n%s", diff)
	}
	if some, more, err := c.Tombstones(testContext(t), 3); len(some) != 3 || !more || err != nil {
		t.Errorf("asked for three, got %d, more %v, %v", len(some), more, err)
	}
	twice := append(slices.Clone(want), want...)
	if n, err := c.ReleaseTombstones(testContext(t), twice); err != nil || n < len(want) {
		t.Errorf("released %d, %v", n, err)
	}
	if n := releasePassed(t, c, 1<<40); n != 0 {
		t.Errorf("%d were left", n)
	}
}

// A number that is another's by now, or was freed again later, is left alone.
func TestReleaseLeavesWhatIsNotTheSame(t *testing.T) {
	c := start(t)
	tenant := &store.Tenant{Number: 7}
	key := store.TenantKey("alice")
	at := store.AllocKey("tenant-numbers", "7")
	put := func(a store.Alloc) (modified store.Revision) {
		t.Helper()
		if err := c.PutStatus(testContext(t), []store.Event{{Key: at, Object: &a}}); err != nil {
			t.Fatal(err)
		}
		_, modified, err := c.Get(testContext(t), at)
		if err != nil {
			t.Fatal(err)
		}
		return modified
	}
	freed := store.Alloc{Owner: key.Short(), Freed: true}
	for name, hold := range map[string]struct {
		alloc store.Alloc
		after store.Revision // how long after what was seen it was written
		want  int
	}{
		"the same":         {freed, 0, 1},
		"seen late":        {freed, -3, 1},
		"freed again":      {freed, 1, 0},
		"taken by another": {store.Alloc{Owner: "tenants/bob"}, 0, 0},
		"taken again":      {store.Alloc{Owner: key.Short()}, 0, 0},
		"freed by another": {store.Alloc{Owner: "tenants/bob", Freed: true}, 0, 0},
	} {
		modified := put(hold.alloc)
		seen := TombstonesOf(key, tenant, modified-hold.after)
		if n, err := c.ReleaseTombstones(testContext(t), seen); n != hold.want || err != nil {
			t.Errorf("%s: released %d, %v", name, n, err)
		}
		if got := len(keysUnder(t, c, "alloc/")); got != 1-hold.want {
			t.Errorf("%s: %d keys are left", name, got)
		}
	}
	if n, err := c.ReleaseTombstones(testContext(t), TombstonesOf(key, &store.Tenant{Number: 8}, 1<<40)); n != 0 || err != nil {
		t.Errorf("of a number that is free already, released %d, %v", n, err)
	}
}
