package entry

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sluice/pki"
)

// A request for a route that leads nowhere yet waits for its tenant's slot, says so, and is answered once there is one. One that went is none.
func TestRequestWaitsForItsSlot(t *testing.T) {
	w := newWorld(t, nil)
	late := make(chan struct{}, 1)
	w.table.Late = func() {
		select {
		case late <- struct{}{}:
		default:
		}
	}
	r := w.publish(t, "alice", all("alice.example"), told("alice"))
	for _, c := range []struct {
		what   string
		then   []Route
		status int
	}{
		{"it goes", nil, 404},
		{"it gets its slot", []Route{r}, 200},
	} {
		slotless := r
		slotless.Gateway, slotless.Target = "", netip.AddrPort{}
		w.table.Set([]Route{slotless})
		go func() {
			<-late
			w.table.Set([]Route{slotless}) // another's route changed
			<-late
			w.table.Set(c.then)
		}()
		if resp, body := w.says(t, "GET / HTTP/1.1\nHost: alice.example\n\n"); resp.StatusCode != c.status {
			t.Errorf("%s: %s\n%s", c.what, resp.Status, body)
		}
	}
}

// One whose slot does not come has its answer after some time.
func TestSlotThatDoesNotCome(t *testing.T) {
	w := newWorld(t, nil)
	r := w.publish(t, "alice", all("alice.example"), told("alice"))
	r.Target = netip.AddrPort{}
	delete(w.containers, r.key())
	w.table.Set([]Route{r})
	if resp, body := w.says(t, "GET / HTTP/1.1\nHost: alice.example\n\n"); resp.StatusCode != 503 || !strings.Contains(body, textDown) {
		t.Errorf("%s\n%s", resp.Status, body)
	}
}

// Who waited for a slot that does not come is told that.
func TestNoSlotIsSaid(t *testing.T) {
	_, err := (&Reach{Host: "h1"}).Open(t.Context(), Route{Tenant: "alice", Name: "w", Gateway: "h1"})
	if !errors.Is(err, errNotReached) || !strings.Contains(err.Error(), "alice/w: this host has no slot for tenant alice yet") {
		t.Error(err)
	}
}

// A relay waits too: another host may have read of the slot before this one.
func TestRelayWaitsForTheSlot(t *testing.T) {
	cluster, table := newHosts(t), NewTable()
	h1, h2 := cluster.of(t, pki.Host("h1")), cluster.of(t, pki.Host("h2"))
	r := Route{Tenant: "alice", Name: "w", Created: 7, Gateway: "h1", Target: echo(t)}
	slotless := r
	slotless.Target = netip.AddrPort{}
	table.Late = func() { table.Set([]Route{r}) }
	table.Set([]Route{slotless})
	r.Relay = relaying(t, h1, table, func(string) error { return nil })
	conn, err := (&Reach{Host: "h2", Believe: h2.ClientOfHost}).Open(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	both(t, conn)
}

// Who waits goes when the client does.
func TestNobodyWaitsForAClientThatWent(t *testing.T) {
	table := NewTable()
	table.Set([]Route{{Tenant: "alice", Name: "w", Created: 7}})
	ctx, end := context.WithTimeout(t.Context(), time.Millisecond)
	defer end()
	if s := table.led(ctx, table.now.Load().byKey["alice/w"], ""); s.Target.IsValid() || ctx.Err() == nil {
		t.Errorf("it waited and has %s", s.Target)
	}
}
