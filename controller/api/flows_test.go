package api_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"sluice/controller/api"
	"sluice/store"
)

// The flows that a switch should hold are shown though it is not connected, with what is wrong
// with them; what it does hold is not.
func TestFlowsOfASwitchThatIsNotConnected(t *testing.T) {
	c := start(t)
	ctx := t.Context()
	c.register(t, "h1")
	if _, err := c.CreateTenant(ctx, api.TenantSpec{Name: "alice"}); err != nil {
		t.Fatal(err)
	}
	port := &store.Port{Number: 7, MAC: store.MAC{2}, Interface: store.TunnelInterface} // only a hand edit gives it that
	if err := c.store.PutStatus(ctx, []store.Event{{Key: store.PortKey("h1", "alice", "default", "odd"), Object: port}}); err != nil {
		t.Fatal(err)
	}
	await(t, func() error {
		_, err := c.Port(ctx, "alice", "default", "odd")
		return err
	})
	desired, problems, err := c.Flows(ctx, "h1", api.FlowFilter{View: api.ViewDesired})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(desired, func(f api.Flow) bool { return f.Owner == "tenant alice" }) {
		t.Errorf("of %d desired flows none is alice's", len(desired))
	}
	want := []string{"hosts/h1: its switch never told its ports", "ports/h1/alice/default/odd: interface sluice-tun is the host's own"}
	if !slices.EqualFunc(problems, want, strings.HasPrefix) {
		t.Errorf("problems are %q, want %q", problems, want)
	}
	for _, view := range []string{api.ViewInstalled, api.ViewDiff} {
		_, _, err := c.Flows(ctx, "h1", api.FlowFilter{View: view})
		var refused *api.Problem
		if !errors.As(err, &refused) || refused.Status != http.StatusServiceUnavailable || !strings.Contains(refused.Error(), "not connected") {
			t.Errorf("view %s: %v", view, err)
		}
	}
}
