package api_test

import (
	"strings"
	"testing"

	"sluice/controller/client"
	"sluice/store"
)

// Each tenant sees and frees what stays with its own names.
func TestStickies(t *testing.T) {
	c := start(t)
	ctx := t.Context()
	c.populate(t)
	own := c.as(t, c.make(t, client.TokenSpec{Name: "of-bob", Role: "tenant", Tenant: "bob"}))
	if _, err := c.store.PutIf(ctx, store.StickyKey("h1", "alice", "default", "web"), &store.Sticky{MAC: store.MAC{2, 1}}, 0, 0); err != nil {
		t.Fatal(err)
	}
	rev, err := c.store.PutIf(ctx, store.StickyKey("h1", "bob", "default", "web"), &store.Sticky{MAC: store.MAC{2, 2}}, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.controller.Await(ctx, rev); err != nil {
		t.Fatal(err)
	}
	list, err := c.Stickies(ctx, "")
	if err != nil || len(list) != 2 || list[0].Tenant != "alice" || list[0].Host != "h1" || list[0].MAC != (store.MAC{2, 1}) {
		t.Errorf("all are %+v, %v", list, err)
	}
	if list, err = own.Stickies(ctx, ""); err != nil || len(list) != 1 || list[0].Tenant != "bob" {
		t.Errorf("bob's are %+v, %v", list, err)
	}
	if _, err = own.DeleteSticky(ctx, "alice", "default", "web"); err == nil {
		t.Error("bob freed what is alice's")
	}
	if _, err := own.DeleteSticky(ctx, "bob", "default", "web"); err != nil {
		t.Fatal(err)
	}
	if list, err = c.Stickies(ctx, "bob"); err != nil || len(list) != 0 {
		t.Errorf("bob's are %+v, %v", list, err)
	}
	if _, err = own.DeleteSticky(ctx, "bob", "default", "web"); err == nil || !strings.Contains(err.Error(), "sluice sticky list") {
		t.Errorf("again: %v", err)
	}
}
