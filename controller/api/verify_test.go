package api_test

import (
	"net/http"
	"strings"
	"testing"

	"sluice/controller/client"
	"sluice/flows/verify"
)

// A host whose switch this controller does not reach is never called proved: it is said who could
// read it.
func TestUnreadHostIsNotProved(t *testing.T) {
	c := start(t)
	c.register(t, "h1")
	c.register(t, "h2")
	c.colleague(t)
	await(t, func() error { _, err := c.Host(t.Context(), "h1"); return err })
	got, err := c.Verify(t.Context())
	if err != nil || len(got.Hosts) != 2 || got.Revision == 0 {
		t.Fatalf("all hosts: %+v, %v", got, err)
	}
	got, err = c.Verify(t.Context(), "h2", "h1")
	if err != nil || len(got.Hosts) != 2 || got.Hosts[0].Host != "h2" || got.Hosts[1].Host != "h1" {
		t.Fatalf("both hosts: %+v, %v", got, err)
	}
	for i, want := range []string{"no other has claimed it", "controller c2 has claimed it: ask that one, with --api http://192.0.2.2:8080"} {
		h := got.Hosts[i]
		if h.Verdict != verify.Unread || !strings.Contains(h.Why, want) || !h.Read.IsZero() || !h.Last.IsZero() || h.Findings == nil {
			t.Errorf("%s: %+v; want it unread, since %q", h.Host, h, want)
		}
	}
	if resp := c.send(t, "GET /v1/verify?host=nobody"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("a host that does not exist: %s", resp.Status)
	}
}

// The state that flows are proved by is that of the store, without secrets.
func TestStateThatFlowsAreProvedBy(t *testing.T) {
	c := start(t)
	c.populate(t)
	c.make(t, client.TokenSpec{Name: "ci", Role: "admin"})
	saved, err := c.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	state, err := saved.State()
	if err != nil {
		t.Fatal(err)
	}
	if state.Host("h1") == nil || state.Tenant("alice") == nil || state.Token("ci") != nil || state.Revision() != saved.Revision || saved.Revision == 0 {
		t.Errorf("it holds %+v", saved.Objects)
	}
	if len(saved.Ports) > 0 {
		t.Errorf("ports of a switch that never told them: %v", saved.Ports)
	}
}
