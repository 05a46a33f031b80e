package hostagent

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"sluice/hostagent/api"
	"sluice/store"
)

// Of all ports those are kept that publish something; others ring no bell.
func TestPublishing(t *testing.T) {
	web, db := store.PortKey("h1", "alice", "default", "web"), store.PortKey("h2", "alice", "default", "db")
	publishes := &store.Port{Publish: []store.PortPublication{{Protocol: store.ProtocolTCP, First: 80, On: 8080, Count: 1}}}
	p := newPublishing()
	for _, c := range []struct {
		name   string
		events []store.Event
		want   int
		rings  bool
	}{
		{"the first list", []store.Event{{Key: db, Object: &store.Port{}}}, 0, false},
		{"one comes", []store.Event{{Key: web, Object: publishes}}, 1, true},
		{"another changes", []store.Event{{Key: db, Object: &store.Port{Number: 7}}}, 1, false},
		{"it publishes no more", []store.Event{{Key: web, Object: &store.Port{}}}, 0, true},
		{"both", []store.Event{{Key: web, Object: publishes}, {Key: db, Object: publishes}}, 2, true},
		{"one goes", []store.Event{{Key: web}}, 1, true},
	} {
		p.apply(store.Batch{Events: c.events})
		rang := false
		select {
		case <-p.changed:
			rang = true
		default:
		}
		if events, err := p.events(t.Context()); err != nil || len(events) != c.want || rang != c.rings {
			t.Errorf("%s: %d ports, %v, the bell rang: %v", c.name, len(events), err, rang)
		}
	}
}

// Before ports were read nobody may think that none publishes: it would close what is open.
func TestPublishingUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if events, err := newPublishing().events(t.Context()); err == nil {
			t.Errorf("%v are known", events)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := newPublishing().events(ctx); err == nil {
			t.Error("who was told to stop waits")
		}
	})
}

func TestPublishedBy(t *testing.T) {
	asked := api.AttachRequest{Publish: []api.Publish{{Port: 81, On: 8081}, {Protocol: "tcp", Port: 80, On: 8080}, {Protocol: "udp", Port: 53, On: 53, Count: 2}}}
	want := []store.PortPublication{{Protocol: store.ProtocolTCP, First: 80, On: 8080, Count: 2}, {Protocol: store.ProtocolUDP, First: 53, On: 53, Count: 2}}
	if diff := cmp.Diff(want, publishedBy(asked)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	shown := []api.Publish{{Protocol: "tcp", Port: 80, On: 8080, Count: 2}, {Protocol: "udp", Port: 53, On: 53, Count: 2}}
	if diff := cmp.Diff(shown, publishOf(&store.Port{Publish: want})); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
