package etcd

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/store"
)

// What a sticky port took stays its name's until the next port of that name, whoever comes in between; all of it is
// vouched for under alloc/, and counted where a subnet is full.
func TestStickyPort(t *testing.T) {
	c := start(t)
	ctx := testContext(t)
	host := register(t, c, "h1")
	register(t, c, "h2")
	createTenant(t, c, store.TenantSpec{Name: "alice", Subnets: prefixes("10.0.0.0/30", "fd00::/64")}) // one address for ports
	before := keysUnder(t, c, "alloc/")
	spec := portSpec("h1", "alice", "web")
	spec.Sticky = true

	undone := createPort(t, c, spec)
	if _, err := c.UndoPort(ctx, undone.Key, undone.Value.UID, host); err != nil {
		t.Fatal(err)
	}
	if left := keysUnder(t, c, "stickies/"); len(left) > 0 {
		t.Errorf("an attach that failed left %v", left)
	}
	spec.UID = uid()
	port := createPort(t, c, spec)
	taken := keysUnder(t, c, "alloc/")
	if _, err := c.DeletePortOf(ctx, port.Key, port.Value.UID, host); err != nil {
		t.Fatal(err)
	}
	stays := get[store.Sticky](t, c, store.StickyKey("h1", "alice", "default", "web"))
	if diff := cmp.Diff(store.Sticky{MAC: port.Value.MAC, Addresses: port.Value.Addresses}, *stays, comparers...); diff != "" {
		t.Errorf("what stays -want +got\n%s", diff)
	}
	if got := len(keysUnder(t, c, "alloc/")); got != len(taken) { // the number is a tombstone
		t.Errorf("%d values are taken, %d were", got, len(taken))
	}
	page, _, err := c.Allocs(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	state, err := c.view(ctx, store.StickyKey("h1", "alice", "default", "web").String())
	if err != nil {
		t.Fatal(err)
	}
	right := 0
	for _, a := range page {
		if verdict, owner := state.JudgeAlloc(a.Path, store.Alloc{Owner: a.Owner, Freed: a.Freed}); owner.Kind == store.KindSticky && verdict == store.AllocRight {
			right++
		}
	}
	if right != 4 {
		t.Errorf("%d values are the name's, not name, MAC and two addresses", right)
	}

	_, err = c.CreatePort(ctx, portSpec("h1", "alice", "other"))
	if !errors.Is(err, store.ErrExhausted) || !strings.Contains(err.Error(), "0 by ports, 1 by names whose ports are gone (sluice sticky list)") {
		t.Errorf("another port: %v", err)
	}
	if _, err = c.CreatePort(ctx, portSpec("h2", "alice", "web")); !errors.Is(err, store.ErrExists) || !strings.Contains(err.Error(), "stickies/h1/alice/default/web") {
		t.Errorf("the name on another host: %v", err)
	}
	if _, err = c.Remove(ctx, store.TenantKey("alice"), "alice"); !errors.Is(err, store.ErrInUse) || !strings.Contains(err.Error(), "alice/default/web") {
		t.Errorf("the tenant goes: %v", err)
	}

	again := portSpec("h1", "alice", "web")
	back := createPort(t, c, again)
	if back.Value.MAC != port.Value.MAC || back.Value.Addresses[0] != port.Value.Addresses[0] || back.Value.Addresses[1] != port.Value.Addresses[1] {
		t.Errorf("it came back as %+v, was %+v", back.Value, port.Value)
	}
	gone, err := c.DeletePort(ctx, back.Key, host) // which was not sticky any more
	if err != nil {
		t.Fatal(err)
	}
	releasePassed(t, c, gone)
	if diff := cmp.Diff(before, keysUnder(t, c, "alloc/")); diff != "" {
		t.Errorf("in the end -before +after\n%s", diff)
	}

	spec.UID = uid()
	port = createPort(t, c, spec)
	if _, err := c.DeletePort(ctx, port.Key, host); err != nil {
		t.Fatal(err)
	}
	if gone, err = c.Remove(ctx, store.StickyKey("h1", "alice", "default", "web"), "web"); err != nil {
		t.Fatal(err)
	}
	releasePassed(t, c, gone)
	if diff := cmp.Diff(before, keysUnder(t, c, "alloc/")); diff != "" {
		t.Errorf("after it was deleted -before +after\n%s", diff)
	}
}
