package name

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"sluice/store"
	"sluice/store/etcd"
	"sluice/store/etcd/etcdtest"
)

// named is the name c1 of a controller that does not run.
func named(client *etcd.Client, live store.LiveController) *Name {
	return New("c1", live, client, slog.New(slog.DiscardHandler))
}

// A controller that was cut off, and lost its lease, announces itself again; but not where
// another one took its name meanwhile.
func TestAnnounceAgain(t *testing.T) {
	client := etcdtest.Connect(t, etcdtest.Start(t))
	announce := func(c *Name) *etcd.Lease {
		t.Helper()
		lease, err := c.announce(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { lease.Close() })
		return lease
	}

	first := named(client, store.LiveController{})
	announce(first)
	if err := announce(first).Close(); err != nil { // over its own key, then without one
		t.Fatal(err)
	}
	announce(first)

	since := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	later := announce(named(client, store.LiveController{Machine: "ctl2", OpenFlow: "192.0.2.2:6653", API: "http://127.0.0.1:8080", Since: since}))
	_, err := first.announce(t.Context())
	if !errors.Is(err, ErrTaken) {
		t.Fatalf("the older one announced itself: %v", err)
	}
	for _, says := range []string{"controller c1", "ctl2", "2026-03-04T05:06:07Z", "192.0.2.2:6653", "--name"} {
		if !strings.Contains(err.Error(), says) {
			t.Errorf("the error does not say %s: %v", says, err)
		}
	}
	if err := later.Close(); err != nil {
		t.Fatal(err)
	}
	announce(first) // nobody else has the name any more
}

// What the watch shows of the name ends a controller only where it came after its own
// announcement, and from another.
func TestLaterKeysOfTheName(t *testing.T) {
	c := named(nil, store.LiveController{})
	own, other := c.live.Incarnation, "other"
	tests := []struct {
		name        string
		announced   store.Revision // 0: not yet
		key         store.Key
		incarnation string
		modified    store.Revision
		taken       bool
	}{
		{"a predecessor's, before the announcement", 0, store.LiveControllerKey("c1"), other, 7, false},
		{"a predecessor's, shown late", 8, store.LiveControllerKey("c1"), other, 7, false},
		{"its own", 8, store.LiveControllerKey("c1"), own, 8, false},
		{"its own, announced again", 8, store.LiveControllerKey("c1"), own, 9, false},
		{"a successor's", 8, store.LiveControllerKey("c1"), other, 9, true},
		{"another name's", 8, store.LiveControllerKey("c2"), other, 9, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			live := &store.LiveController{Incarnation: tt.incarnation}
			event := store.Event{Key: tt.key, Object: live, Created: 1, Modified: tt.modified}
			c.named = tt.announced
			shown := c.Check(store.Batch{Revision: tt.modified, Events: []store.Event{event}})
			if errors.Is(shown, ErrTaken) != tt.taken {
				t.Errorf("the watch shows it: %v", shown)
			}
		})
	}
}

// The watch may show a successor's key before this controller knows that its own was written.
func TestWatchOvertakesTheAnnouncement(t *testing.T) {
	for modified, taken := range map[store.Revision]bool{7: false, 9: true} {
		c := named(nil, store.LiveController{})
		event := store.Event{Key: store.LiveControllerKey("c1"), Object: &store.LiveController{Incarnation: "other"}, Created: 1, Modified: modified}
		if err := c.Check(store.Batch{Revision: modified, Events: []store.Event{event}}); err != nil {
			t.Fatal(err)
		}
		if err := c.nowNamed(8); errors.Is(err, ErrTaken) != taken {
			t.Errorf("announced at 8, another's key at %d: %v", modified, err)
		}
	}
}
