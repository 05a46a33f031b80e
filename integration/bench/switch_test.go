package bench

import (
	"slices"
	"testing"

	"sluice/datapath"
	"sluice/datapath/openflow"
)

// requireOVS skips the test, or fails it, where Open vSwitch cannot run.
func requireOVS(t *testing.T) { requirePrograms(t, ovsPrograms) }

// checkTurns asks that so many results compare two rounds of about 1,000 flows.
func checkTurns(t *testing.T, got []Result, want int) {
	t.Helper()
	if len(got) != want {
		t.Fatalf("%d results", len(got))
	}
	for _, r := range got {
		if r.Params["flows"].(int) < 1000 || r.Ratio <= 0 || len(r.Samples) != 2 || len(r.Reference.Samples) != 2 {
			t.Errorf("%+v", r)
		}
	}
}

func fact(t *testing.T, r Result, name string) Fact {
	t.Helper()
	at := slices.IndexFunc(r.Facts, func(f Fact) bool { return f.Name == name })
	if at < 0 {
		t.Fatalf("no fact %q among %+v", name, r.Facts)
	}
	return r.Facts[at]
}

// Beside ofctrl the same flows are left in the switch.
func checkProgram(t *testing.T, got []Result) {
	checkTurns(t, got, 3)
	if also := got[0].Also; len(also) != 1 || also[0].Ratio <= 0 {
		t.Errorf("also %+v", also)
	}
	secure := got[1]
	if secure.Against != "Sluice in the clear" || secure.Unit != "flows/s" || !secure.Bound.Holds(0.8) || secure.Bound.Holds(0.79) {
		t.Errorf("over TLS: %+v", secure)
	}
	beside := got[2]
	if beside.Against != "contiv ofctrl" || beside.Unit != "s" || !beside.Bound.Holds(1) || beside.Bound.Holds(1.01) {
		t.Errorf("beside ofctrl: %+v", beside)
	}
	if f := fact(t, beside, "flows that the sides left and that differ"); !f.Bound.Holds(f.Value) || f.Bound.Holds(1) {
		t.Errorf("%s: %v, want %s", f.Name, f.Value, f.Bound)
	}
}

// What a resync does is counted, however small it is: nothing to a right switch, and to one
// that drifted exactly what it lacks.
func checkResync(t *testing.T, got []Result) {
	checkTurns(t, got, 1)
	r := got[0]
	for _, name := range []string{"flow mods for right flows", "flow mods beside the drift", "drift not mended"} {
		if f := fact(t, r, name); !f.Bound.Holds(f.Value) {
			t.Errorf("%s: %v, want %s", name, f.Value, f.Bound)
		}
	}
	if n := fact(t, r, "drift injected").Value; n < 9 {
		t.Errorf("drift of %v flows", n)
	}
}

// The generated cluster is as large as asked for and hardly larger, its flows are such as
// a switch can hold side by side, and drift leaves them apart.
func TestCluster(t *testing.T) {
	const least = 5000
	_, list := clusterWith(least)
	if len(list) < least || len(list) > least*11/10 {
		t.Errorf("%d flows, want hardly more than %d", len(list), least)
	}
	d := newDrift(list)
	if n := d.len(); n != (len(list)+driftShare/2-1)/driftShare {
		t.Errorf("%d flows drift", n)
	}
	seen := map[string]bool{}
	for _, f := range slices.Concat(list, d.extra) {
		key := string(f.AppendMatchKey(nil))
		if seen[key] {
			t.Errorf("two flows of one table, priority and match: %s", &f)
		}
		seen[key] = true
	}
}

// The encoder makes no garbage where its buffer has room.
func TestEncoderMakesNoGarbage(t *testing.T) {
	_, list := clusterWith(1000)
	mods := addsOf(list)
	buf := make([]byte, 0, 1<<16)
	next := 0
	allocs := testing.AllocsPerRun(len(mods), func() {
		buf = openflow.AppendBundleFlowMod(buf[:0], 1, 1, plainFlags, &mods[next%len(mods)])
		next++
	})
	if allocs != 0 {
		t.Errorf("%v allocations a flow", allocs)
	}
}

// What a bundle leaves on its way to a real switch does not grow with it: the session's buffers
// grow while they have not their full size yet, which is bounded, and else hardly anything is
// left.
func TestSendingMakesLittleGarbage(t *testing.T) {
	requireOVS(t)
	_, list := clusterWith(20_000)
	b, err := newTestbed(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	s, err := b.metered(t.Context(), list)
	if err != nil {
		t.Fatal(err)
	}
	bundle := &datapath.Bundle{Mods: addsOf(list)}
	var left []float64
	for range 7 {
		before := allocated()
		if err := s.Commit(t.Context(), bundle); err != nil {
			t.Fatal(err)
		}
		left = append(left, float64(allocated()-before))
	}
	const buffers = 4 << 20
	if most := slices.Max(left); most > buffers {
		t.Errorf("%d flows leave %v bytes, want %d at most", len(list), left, buffers)
	}
	if usual := quantile(left, 0.5); usual > float64(len(list)*programGarbage/10) {
		t.Errorf("%d flows leave %v bytes, want %d at most as a rule", len(list), left, len(list)*programGarbage/10)
	}
}
