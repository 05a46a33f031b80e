package verify

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	of "sluice/datapath/openflow"
	"sluice/flows"
	"sluice/flows/internal/worlds"
	"sluice/flows/prove"
	"sluice/store"
)

// tablesOf are those that the switches of a world are to hold.
func tablesOf(w *worlds.World) (list []prove.Tables) {
	for _, sw := range w.Switches() {
		desired, _ := flows.Desired(w.State, sw)
		list = append(list, prove.Tables{Switch: sw, Flows: desired})
	}
	return list
}

// A snapshot that went through a file proves what the store that it was made of proves, and compiles to
// the same flows.
func TestSnapshot(t *testing.T) {
	for seed := range uint64(20) {
		w := worlds.New(seed)
		ports := map[string]map[string]uint32{}
		for _, sw := range w.Switches() {
			ports[sw.Host] = sw.OFPort
		}
		saved, err := Save(w.State.Facts(), ports)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(saved)
		if err != nil {
			t.Fatal(err)
		}
		var read Snapshot
		if err := json.Unmarshal(text, &read); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(ports, read.Ports); diff != "" {
			t.Errorf("world %d: ports were -, are +:\n%s", seed, diff)
		}
		state, err := read.State()
		if err != nil {
			t.Fatal(err)
		}
		if state.Revision() != w.State.Revision() {
			t.Errorf("world %d: it is at %d, not %d", seed, state.Revision(), w.State.Revision())
		}
		for _, tables := range tablesOf(w) {
			desired, _ := flows.Desired(state, tables.Switch)
			if diff := cmp.Diff(tables.Flows, desired); diff != "" {
				t.Fatalf("world %d, host %s: flows were -, are +:\n%s", seed, tables.Switch.Host, diff)
			}
			if found := prove.Host(state, tables); len(found) > 0 {
				t.Errorf("world %d: %s", seed, &found[0])
			}
		}
	}
}

// A snapshot of what is no store is refused.
func TestSnapshotRefuses(t *testing.T) {
	for _, o := range []Object{{Key: "nothing/x", Value: []byte("{}")}, {Key: "tenants/alice", Value: []byte("[]")}} {
		if _, err := (&Snapshot{Objects: []Object{o}}).State(); err == nil || !strings.Contains(err.Error(), "saved state") {
			t.Errorf("%s: %v", o.Key, err)
		}
	}
}

// open is a world with a flow that sends all that comes to admit to a port, and that port.
func open(t *testing.T) (s *store.State, all []prove.Tables, f *of.Flow) {
	t.Helper()
	for seed := uint64(0); ; seed++ {
		w := worlds.New(seed)
		live := slices.DeleteFunc(slices.Clone(w.Ports), func(p *worlds.Port) bool { return p.Dead })
		if len(w.Strays) > 0 || len(live) < 4 {
			continue
		}
		hostile, err := of.ParseFlow("table=10,priority=65000 actions=output:" + number(live[0].OFPort))
		if err != nil {
			t.Fatal(err)
		}
		all = tablesOf(w)
		for i := range all {
			if all[i].Switch.Host == live[0].Host {
				all[i].Flows = append(all[i].Flows, hostile)
			}
		}
		return w.State, all, &hostile
	}
}

func number(n uint32) string {
	text, _ := json.Marshal(n) // a number always has a text
	return string(text)
}

// A finding is false where there is a packet, and unproved where none was searched.
func TestExplain(t *testing.T) {
	s, all, hostile := open(t)
	var list []prove.Finding
	for _, tables := range all {
		list = append(list, prove.Host(s, tables)...)
	}
	if len(list) < 2 {
		t.Fatalf("%d findings", len(list))
	}
	got := Explain(s, all, list, Budget{Findings: 1, Tries: 5000, Seed: 1})
	if len(got) != len(list) {
		t.Fatalf("%d findings of %d", len(got), len(list))
	}
	first, second := got[0], got[1]
	if first.Verdict != False || first.Counterexample == nil || second.Verdict != Unproved || second.Counterexample != nil {
		t.Fatalf("the first is %s, the second, for which nothing was searched, %s", first.Verdict, second.Verdict)
	}
	if first.Table != "admit" || !strings.HasPrefix(first.Owner, "unknown") || first.Flow != strings.TrimSpace(hostile.String()) ||
		first.Rule != string(list[0].Rule) || first.Asks != prove.Rules()[list[0].Rule] || first.Text != list[0].Text || first.ShadowedBy != "" {
		t.Errorf("it is told as %+v", first)
	}
	e := first.Counterexample
	last := e.Sends[len(e.Sends)-1]
	if e.Law == "" || last.From == "" || last.Packet == "" || len(last.Steps) < 2 {
		t.Fatalf("the counterexample: %+v", e)
	}
	blamed := slices.IndexFunc(last.Steps, func(s Crossing) bool { return s.Flow == first.Flow })
	if blamed < 1 || last.Steps[blamed].Table != "admit" || last.Steps[blamed].Owner != first.Owner || last.Steps[0].Table != "classify" || last.Steps[0].Owner == "" || last.Steps[0].Host == "" {
		t.Errorf("its way: %+v", last.Steps)
	}
	list[0].ShadowedBy = hostile
	if got := Explain(s, all, list[:1], Budget{}); got[0].ShadowedBy != first.Flow || got[0].Verdict != Unproved {
		t.Errorf("shadowed, it is %+v", got[0])
	}
}

// One false flow makes a host false; one that is not proved keeps it from being proved.
func TestJudge(t *testing.T) {
	no, open := Finding{Verdict: False}, Finding{Verdict: Unproved}
	for _, test := range []struct {
		list []Finding
		want Verdict
	}{{nil, Proved}, {[]Finding{open}, Unproved}, {[]Finding{open, no}, False}, {[]Finding{no, open}, False}} {
		if got := Judge(test.list); got != test.want {
			t.Errorf("%v: %s, not %s", test.list, got, test.want)
		}
	}
}
