package api_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"sluice/controller/client"
	"sluice/store"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// The flows that a switch should hold are shown though it is not connected, with what is wrong
// with them; what it does hold is not.
func TestFlowsOfASwitchThatIsNotConnected(t *testing.T) {
	c := start(t)
	ctx := t.Context()
	c.register(t, "h1")
	if _, err := c.CreateTenant(ctx, client.TenantSpec{Name: "alice"}); err != nil {
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
	desired, problems, err := c.Flows(ctx, "h1", client.FlowFilter{View: client.ViewDesired})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(desired, func(f client.Flow) bool { return f.Owner == "tenant alice" }) {
		t.Errorf("of %d desired flows none is alice's", len(desired))
	}
	want := []string{"hosts/h1: its switch never told its ports", "ports/h1/alice/default/odd: interface sluice-tun is the host's own"}
	if !slices.EqualFunc(problems, want, strings.HasPrefix) {
		t.Errorf("problems are %q, want %q", problems, want)
	}
	for _, view := range []string{client.ViewInstalled, client.ViewDiff} {
		_, _, err := c.Flows(ctx, "h1", client.FlowFilter{View: view})
		var refused *client.Problem
		if !errors.As(err, &refused) || refused.Status != http.StatusServiceUnavailable || !strings.Contains(refused.Error(), "not connected") ||
			strings.Contains(refused.Error(), "no dump is kept here; --desired") != (view == client.ViewInstalled) {
			t.Errorf("view %s: %v", view, err)
		}
	}
}

// Where no dump of a host is kept, it is said which controllers may have one.
func TestADumpMayBeElsewhere(t *testing.T) {
	c := start(t)
	c.populate(t)
	c.put(t, store.LiveControllerKey("c2"), &store.LiveController{API: "http://192.0.2.2:8080"})
	c.put(t, store.LiveControllerKey("c3"), &store.LiveController{})
	await(t, func() error {
		_, _, err := c.Flows(t.Context(), "h1", client.FlowFilter{View: client.ViewInstalled})
		if want := "no dump is kept here; another controller may keep one: ask with --api http://192.0.2.2:8080; --desired"; !strings.Contains(fmt.Sprint(err), want) {
			return fmt.Errorf("%w, want %q", err, want)
		}
		return nil
	})
}

// Each choice keeps the flows that it says, and some; a name of nothing is refused.
func TestFlowsAreChosen(t *testing.T) {
	c := start(t)
	ctx := t.Context()
	c.populate(t)
	for name, tt := range map[string]struct {
		filter client.FlowFilter
		keeps  func(client.Flow) bool
	}{
		"tenant":        {client.FlowFilter{Tenant: "alice"}, func(f client.Flow) bool { return strings.Contains(f.Owner, "alice") }},
		"network":       {client.FlowFilter{Network: "alice/db"}, func(f client.Flow) bool { return strings.Contains(f.Owner, " alice/db") }},
		"port":          {client.FlowFilter{Port: "alice/db/a"}, func(f client.Flow) bool { return f.Owner == "port alice/db/a" }},
		"table":         {client.FlowFilter{Table: "admit"}, func(f client.Flow) bool { return f.TableName == "admit" }},
		"owner":         {client.FlowFilter{Owner: "peer h2"}, func(f client.Flow) bool { return f.Owner == "peer h2" }},
		"kind of owner": {client.FlowFilter{Owner: "peer"}, func(f client.Flow) bool { return strings.HasPrefix(f.Owner, "peer ") }},
		"reason":        {client.FlowFilter{Reason: "spoofed"}, func(f client.Flow) bool { return strings.Contains(f.Note, "spoofed") }},
		"two":           {client.FlowFilter{Table: "admit", Owner: "base"}, func(f client.Flow) bool { return f.TableName == "admit" && f.Owner == "base" }},
	} {
		tt.filter.View = client.ViewDesired
		all, _, err := c.Flows(ctx, "h1", client.FlowFilter{View: client.ViewDesired})
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := c.Flows(ctx, "h1", tt.filter)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := slices.DeleteFunc(all, func(f client.Flow) bool { return !tt.keeps(f) })
		if len(want) == 0 || !cmp.Equal(got, want, cmpopts.IgnoreUnexported(client.Flow{})) {
			t.Errorf("%s: %d flows are shown, want %d, and at least one", name, len(got), len(want))
		}
	}
	for _, filter := range []client.FlowFilter{
		{Network: "alice"}, {Network: "alice/nosuch"}, {Port: "alice/db/nosuch"}, {Reason: "nosuch"}, {Packet: "ip,nw_dst=bob"}, {Packet: "ip actions=drop"},
	} {
		var refused *client.Problem
		if _, _, err := c.Flows(ctx, "h1", filter); !errors.As(err, &refused) || refused.Status == http.StatusServiceUnavailable {
			t.Errorf("%+v is answered with %v", filter, err)
		}
	}
}

// A packet chooses the flows that may take it: what it does not say may be anything.
func TestFlowsThatMayTakeAPacket(t *testing.T) {
	c := start(t)
	c.register(t, "h1")
	list, _, err := c.Flows(t.Context(), "h1", client.FlowFilter{View: client.ViewDesired, Table: "admit", Packet: "udp,tp_src=67"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range list {
		got = append(got, f.Words)
	}
	if !slices.Contains(got, "udp,tp_src=67 -> refuse it as forbidden") || !slices.Contains(got, "any frame -> refuse it as spoofed") ||
		!slices.Contains(got, "udp,tp_dst=68 -> refuse it as forbidden") {
		t.Errorf("flows that may take it are left out:\n%s", strings.Join(got, "\n"))
	}
	if slices.Contains(got, "arp -> refuse it as spoofed") || slices.Contains(got, "udp6,tp_src=547 -> refuse it as forbidden") {
		t.Errorf("flows that cannot take it are shown:\n%s", strings.Join(got, "\n"))
	}
}

func TestOwners(t *testing.T) {
	c := start(t)
	c.register(t, "h1")
	cookies := []string{"0x0100000000000000", "72057594037927936", "0xffff"}
	for range 600 { // more than one request may ask for
		cookies = append(cookies, "0x9")
	}
	list, err := c.Owners(t.Context(), cookies)
	if err != nil {
		t.Fatal(err)
	}
	want := []client.FlowOwner{
		{Cookie: "0x0100000000000000", Owner: "base", Kind: "base"}, {Cookie: "0x0100000000000000", Owner: "base", Kind: "base"},
		{Cookie: "0x000000000000ffff", Owner: "unknown 0xffff"},
	}
	if len(list) != len(cookies) || !slices.Equal(list[:3], want) {
		t.Errorf("of %d cookies %d have owners, the first %v", len(cookies), len(list), list[:min(3, len(list))])
	}
	var refused *client.Problem
	if _, err := c.Owners(t.Context(), []string{"bob"}); !errors.As(err, &refused) || refused.Status != http.StatusUnprocessableEntity {
		t.Errorf("a cookie that is no number: %v", err)
	}
}
