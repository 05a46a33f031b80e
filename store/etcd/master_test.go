package etcd

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/store"
)

// Of two controllers that read the same, one has the host; the other's claim leaves nothing,
// and no word on the host that its master would not know of.
func TestClaim(t *testing.T) {
	c, ctx := start(t), testContext(t)
	lease, err := c.GrantLease(ctx, 30)
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Close()
	register(t, c, "h1")
	announced := map[string]store.Revision{}
	for _, name := range []string{"c1", "c2"} {
		if announced[name], err = c.PutIf(ctx, store.LiveControllerKey(name), &store.LiveController{}, 0, lease.ID); err != nil {
			t.Fatal(err)
		}
	}
	behind := &store.StatusHost{State: store.HostBehind, Realized: 7}
	first := &store.Master{Controller: "c1", Generation: 1}
	rev, err := c.Claim(ctx, "h1", first, 0, lease.ID, behind)
	if err != nil {
		t.Fatal(err)
	}
	if got, at, _ := c.Get(ctx, store.StatusHostKey("h1")); at != rev || !cmp.Equal(got, store.Object(behind)) {
		t.Errorf("the status is %+v of revision %d; want %+v of the claim's own, %d", got, at, behind, rev)
	}
	takeBack := []store.Event{{Key: store.StatusHostKey("h1")}}
	held := func(claimed store.Revision) store.Presumption {
		return store.Presumption{Condition: store.Unchanged, Path: store.MasterKey("h1").String(), Revision: claimed, Refusal: store.ErrConflict}
	}
	if err := c.PutStatus(ctx, takeBack, held(rev-1)); !errors.Is(err, store.ErrConflict) {
		t.Errorf("a master of before took the status back: %v", err)
	}
	if _, at, _ := c.Get(ctx, store.StatusHostKey("h1")); at != rev {
		t.Errorf("the status changed at revision %d", at)
	}
	if err := c.PutStatus(ctx, takeBack, held(rev)); err != nil {
		t.Fatal(err)
	}

	_, err = c.Claim(ctx, "h1", &store.Master{Controller: "c2", Generation: 1}, 0, lease.ID, behind)
	if !errors.Is(err, store.ErrConflict) {
		t.Errorf("the second claim: %v, want a conflict", err)
	}
	if got, at, _ := c.Get(ctx, store.MasterKey("h1")); at != rev || !cmp.Equal(got, store.Object(first)) {
		t.Errorf("the master is %+v of revision %d; want %+v of %d", got, at, first, rev)
	}
	if _, at, _ := c.Get(ctx, store.StatusHostKey("h1")); at != 0 {
		t.Errorf("the claim that failed wrote the host's status, at revision %d", at)
	}
	if _, err := c.Claim(ctx, "h1", &store.Master{Controller: "c2", Generation: 2}, rev, lease.ID, behind); err != nil {
		t.Errorf("a claim that knows the one before: %v", err)
	}

	_, claimed, _ := c.Get(ctx, store.MasterKey("h1"))
	successor, err := c.GrantLease(ctx, 30)
	if err != nil {
		t.Fatal(err)
	}
	defer successor.Close()
	if _, err := c.PutIf(ctx, store.LiveControllerKey("c1"), &store.LiveController{}, announced["c1"], successor.ID); err != nil {
		t.Fatal(err)
	}
	_, err = c.Claim(ctx, "h1", first, claimed, lease.ID, behind)
	expect(t, err, store.ErrConflict, "live/controllers/c1")
	if _, at, _ := c.Get(ctx, store.MasterKey("h1")); at != claimed {
		t.Errorf("a controller whose name is another's claimed the host, at revision %d", at)
	}
	if _, err := c.Claim(ctx, "h1", first, claimed, successor.ID, behind); err != nil {
		t.Errorf("the claim of who has the name: %v", err)
	}

	if _, err := c.DeleteHost(ctx, "h1"); err != nil {
		t.Fatal(err)
	}
	if _, at, _ := c.Get(ctx, store.MasterKey("h1")); at != 0 {
		t.Errorf("a host that was deleted has a master still")
	}
	_, err = c.Claim(ctx, "h1", first, 0, lease.ID, behind)
	expect(t, err, store.ErrNotFound, "h1")
}
