package etcd

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"sluice/store"
	"sluice/store/etcd/freeport"
)

func TestLease(t *testing.T) {
	c := start(t)
	lease, err := c.GrantLease(testContext(t), 5)
	if err != nil {
		t.Fatal(err)
	}
	key := store.LiveControllerKey("c1")
	if _, err := c.PutIf(testContext(t), key, &store.LiveController{API: "here"}, 0, lease.ID); err != nil {
		t.Fatal(err)
	}
	select {
	case <-lease.Lost():
		t.Fatal("lost at once")
	default:
	}
	if err := lease.Close(); err != nil {
		t.Fatal(err)
	}
	lost(t, lease.Lost())
	if o, _, err := c.Get(testContext(t), key); o != nil || err != nil {
		t.Errorf("the key outlived its lease: %v, %v", o, err)
	}
	if err := lease.Close(); err != nil {
		t.Errorf("closing it again: %v", err)
	}
}

// A lease is kept over a restart of the server, longer than it lives without word.
func TestLeaseAcrossRestart(t *testing.T) {
	o := EmbedOptions{Dir: t.TempDir(), ClientURL: freeport.URL(t), PeerURL: freeport.URL(t)}
	first, err := StartEmbedded(testContext(t), o)
	if err != nil {
		t.Fatal(err)
	}
	lease, err := connect(t, o.ClientURL).GrantLease(testContext(t), 2)
	if err != nil {
		t.Fatal(err)
	}
	first.Close()
	again, err := StartEmbedded(testContext(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(again.Close)
	select {
	case <-lease.Lost():
		t.Error("the lease was lost")
	case <-time.After(4 * time.Second):
	}
	left, err := connect(t, o.ClientURL).etcd.TimeToLive(testContext(t), lease.ID)
	if err != nil || left.TTL <= 0 {
		t.Errorf("the server's lease: %+v, %v", left, err)
	}
}

func TestPutStatusInParts(t *testing.T) {
	c := start(t)
	var events []store.Event
	for i := range 2*maxOps + 1 {
		events = append(events, store.Event{Key: store.StatusHostKey(numbered(i)), Object: &store.StatusHost{State: store.HostDown}})
	}
	large := &store.StatusHost{Problems: store.Problems{{Text: strings.Repeat("x", maxBytes/2)}}}
	for i := range 4 {
		events[i].Object = large
	}
	if err := c.PutStatus(testContext(t), events); err != nil {
		t.Fatal(err)
	}
	if got := keysUnder(t, c, "status/hosts/"); len(got) != len(events) {
		t.Errorf("%d of %d are held", len(got), len(events))
	}
	for i := range events {
		events[i].Object = nil
	}
	if err := c.PutStatus(testContext(t), events); err != nil {
		t.Fatal(err)
	}
	if got := keysUnder(t, c, "status/hosts/"); len(got) != 0 {
		t.Errorf("%d are left", len(got))
	}
}

func TestPutIf(t *testing.T) {
	c := start(t)
	ctx, key := testContext(t), store.MasterKey("h1")
	first, err := c.PutIf(ctx, key, &store.Master{Controller: "c1"}, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, modified := range []store.Revision{0, first - 1, first + 1} {
		if _, err := c.PutIf(ctx, key, &store.Master{Controller: "c2"}, modified, 0); !errors.Is(err, store.ErrConflict) {
			t.Errorf("put over %d with %d: %v", first, modified, err)
		}
	}
	if _, err := c.PutIf(ctx, key, &store.Master{Controller: "c2"}, first, 0); err != nil {
		t.Error(err)
	}
	if got := get[store.Master](t, c, key); got.Controller != "c2" {
		t.Errorf("held: %+v", got)
	}
	if _, err := c.PutIf(ctx, store.GatewayKey("nobody"), &store.Gateway{Active: "h1"}, 0, 0); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a gateway without its tenant: %v", err)
	}
	if _, err := c.Delete(ctx, key); err != nil {
		t.Error(err)
	}
	if _, err := c.Delete(ctx, store.TenantKey("alice")); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("a plain delete of a tenant: %v", err)
	}
}

func TestElect(t *testing.T) {
	c := start(t)
	candidate := func(id string) (<-chan bool, context.CancelFunc) {
		ctx, cancel := context.WithCancel(t.Context())
		t.Cleanup(cancel)
		return c.Elect(ctx, "gateways", id), cancel
	}
	says := func(ch <-chan bool, want bool) {
		t.Helper()
		select {
		case got, open := <-ch:
			if !open || got != want {
				t.Fatalf("said %v (open %v), want %v", got, open, want)
			}
		case <-time.After(deadline):
			t.Fatal("said nothing")
		}
	}
	first, resign := candidate("c1")
	says(first, true)
	second, _ := candidate("c2")
	select {
	case v := <-second:
		t.Fatalf("a second candidate was told %v while the first leads", v)
	case <-time.After(100 * time.Millisecond):
	}
	resign()
	says(first, false)
	if _, open := <-first; open {
		t.Error("the channel stays open after its context ended")
	}
	says(second, true)
}
