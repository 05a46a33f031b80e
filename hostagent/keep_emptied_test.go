package hostagent

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/store"
)

// Of what drains here only that is told to which no host sends any more.
func TestEndingAt(t *testing.T) {
	quiet := func(hosts ...string) map[string]store.Ending {
		all := map[string]store.Ending{"h9": {}}
		for _, h := range hosts {
			all[h] = store.Ending{Quiet: true}
		}
		return all
	}
	event := func(key store.Key, o store.Object) store.Event { return store.Event{Key: key, Object: o} }
	_, got := leaversAt(stateOf([]store.Event{
		event(store.GatewayKey("drained"), &store.Gateway{Active: "h2", Draining: []string{"h3", "h1"}, Ending: quiet("h1"), Epoch: 5}),
		event(store.GatewayKey("loud"), &store.Gateway{Active: "h2", Draining: []string{"h1"}, Ending: quiet("h2"), Epoch: 5}),
		event(store.GatewayKey("elsewhere"), &store.Gateway{Active: "h2", Draining: []string{"h3"}, Ending: quiet("h1", "h3"), Epoch: 5}),
		event(store.GatewayKey("here"), &store.Gateway{Active: "h1", Epoch: 5}),
	}, []store.Event{
		event(store.TenantKey("drained"), &store.Tenant{Number: 7}), event(store.TenantKey("here"), &store.Tenant{Number: 8}),
	}), "h1")
	if diff := cmp.Diff(map[string]ending{"drained": {slot: 7, epoch: 5}}, got, cmp.AllowUnexported(ending{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The connections of each tenant that drains are read in its turn, also where the zone's count is 0, unless it was told
// already or has many.
func TestDueInTurn(t *testing.T) {
	e := &emptied{told: map[string]uint64{"t00": 5, "t01": 4}}
	drains, counts := map[string]ending{}, map[uint32]int{2: fewConnections, 3: fewConnections + 1}
	for i := range uint32(2*readsAtOnce + 2) {
		drains[fmt.Sprintf("t%02d", i)] = ending{slot: i, epoch: 5}
	}
	var rounds [][]string
	for range 3 {
		rounds = append(rounds, e.due(drains, counts))
	}
	if first := rounds[0]; len(first) != readsAtOnce || first[0] != "t01" || first[1] != "t02" || first[2] != "t04" {
		t.Errorf("the first round reads %v", first)
	}
	if all := slices.Concat(rounds[0], rounds[1]); len(all) != 2*readsAtOnce || len(slices.Compact(slices.Sorted(slices.Values(all)))) != 2*readsAtOnce {
		t.Errorf("two rounds read %v", all)
	}
	if rounds[2][0] != "t01" {
		t.Errorf("the third round begins with %s", rounds[2][0])
	}
	if left := e.due(map[string]ending{"a": {slot: 9, epoch: 1}}, nil); !slices.Equal(left, []string{"a"}) {
		t.Errorf("one that is left is read as %v", left)
	}
}

// What ovs-vswitchd 3.1 tells of connections in a zone.
func TestCountGoingOn(t *testing.T) {
	const line = "%s,orig=(src=10.0.0.2,dst=203.0.113.1,sport=1,dport=80),reply=(src=203.0.113.1,dst=100.64.0.1,sport=80,dport=1),zone=2,mark=9"
	for _, c := range []struct {
		protocol, state string
		want            int
	}{
		{"tcp", ",protoinfo=(state=ESTABLISHED)", 1}, {"tcp", ",protoinfo=(state=SYN_SENT)", 1}, {"tcp", ",protoinfo=(state=FIN_WAIT_1)", 1},
		{"tcp", ",protoinfo=(state=TIME_WAIT)", 0}, {"tcp", ",protoinfo=(state=CLOSED)", 0}, {"tcp", ",protoinfo=(state=CLOSE)", 0},
		{"tcp", ",protoinfo=(state=CLOSING)", 1}, {"udp", "", 1}, {"icmp", "", 1},
	} {
		text := c.protocol + line[2:] + c.state + "\n"
		if got := countGoingOn(text + text); got != 2*c.want {
			t.Errorf("%s%s: %d go on, want %d", c.protocol, c.state, got, 2*c.want)
		}
	}
	if countGoingOn("") != 0 {
		t.Error("in an empty zone something goes on")
	}
}

// A gateway host says which part of its kernel's side is not ready, and nothing else.
func TestKernelSideIsTold(t *testing.T) {
	p := newProblems(slog.New(slog.DiscardHandler))
	p.tell("ports", errors.New("refused"))
	if got := p.first(kernelSide...); got != "" {
		t.Errorf("while ports fail: %q", got)
	}
	p.tell("nftables", errors.New("refused"))
	if got := p.first(kernelSide...); got != "nftables: refused" {
		t.Errorf("while nftables fail: %q", got)
	}
}
