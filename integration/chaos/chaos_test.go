package chaos

import (
	"encoding/json"
	"flag"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/integration/lab"
	"sluice/internal/golden"
)

var update = flag.Bool("update", false, "write docs/reliability.md anew from the kept run")

func TestStampIsFoundBehindAnyHeader(t *testing.T) {
	want := stamp{tenant: 1, from: 2, to: stray, seq: 1<<40 + 3}
	frame := append([]byte("any header at all"), want.bytes()...)
	if got, ok := readStamp(append(frame, "and a trailer"...)); !ok || got != want {
		t.Errorf("read %+v, %v, want %+v", got, ok, want)
	}
	for name, b := range map[string][]byte{
		"nothing": nil, "another frame": []byte("sluice"), "cut off": frame[:len(frame)-1],
	} {
		if _, ok := readStamp(b); ok {
			t.Errorf("%s has a stamp", name)
		}
	}
}

func TestLedgerJudgesWhatStoodWhileItWasRead(t *testing.T) {
	const name = "tenant chaos-t1"
	for _, c := range []struct {
		about         string
		before, after standing
		read          bool
		lost          string // "" : nothing is wrong
	}{
		{"made, and there", made, made, true, ""},
		{"made, and not there", made, made, false, "tenant chaos-t1 was acknowledged and is gone"},
		{"removed, and not there", removed, removed, false, ""},
		{"removed, and there", removed, removed, true, "though its removal was acknowledged"},
		{"not acknowledged", unsure, unsure, false, ""},
		{"not acknowledged, but there", unsure, unsure, true, ""},
		{"being removed while it was read", made, unsure, false, ""},
		{"made while it was read", unsure, made, false, ""},
		{"removed while it was read", unsure, removed, true, ""},
	} {
		l := newLedger()
		l.note(name, c.before)
		before := l.copy()
		l.note(name, c.after)
		err := l.compare(before, map[string]bool{name: c.read})
		if (err == nil) != (c.lost == "") || err != nil && !strings.Contains(err.Error(), c.lost) {
			t.Errorf("%s: %v, want %q", c.about, err, c.lost)
		}
	}
}

func actorOn(host string, number uint16) *actor {
	return &actor{Container: lab.Container{Host: host}, number: number}
}

// A fault answers for packets between its hosts, from just before it begins until it is mended.
func TestWhichLossesAFaultAnswersFor(t *testing.T) {
	a, b, c := actorOn("h1", 1), actorOn("h2", 2), actorOn("h3", 3)
	begun := time.Now()
	mended := begun.Add(10 * time.Second)
	for _, x := range []struct {
		about    string
		harms    harm
		from, to *actor
		at       time.Time
		want     bool
	}{
		{"its host sends", harmsHost("h1"), a, b, begun, true},
		{"its host receives", harmsHost("h2"), a, b, begun, true},
		{"other hosts", harmsHost("h3"), a, b, begun, false},
		{"a cut, one way", harmsBetween("h1", "h2"), a, b, begun, true},
		{"a cut, the other way", harmsBetween("h1", "h2"), b, a, begun, true},
		{"a cut of others", harmsBetween("h1", "h2"), a, c, begun, false},
		{"inside a host that is cut off", harmsBetween("h1", "h2"), a, a, begun, false},
		{"of the control plane", harmless, a, b, begun, false},
		{"on its way when it began", harmsHost("h1"), a, b, begun.Add(-grace / 2), true},
		{"before it", harmsHost("h1"), a, b, begun.Add(-2 * grace), false},
		{"just after it", harmsHost("h1"), a, b, mended.Add(grace / 2), true},
		{"after it", harmsHost("h1"), a, b, mended.Add(2 * grace), false},
		{"a tunnel, while links change", harmsTunnels("h1"), a, b, begun, true},
		{"inside a host, while its links change", harmsTunnels("h1"), a, a, begun, false},
	} {
		h := newHistory(nil)
		w := h.begin("kind", "what", x.harms)
		w.begun, w.ended, w.mended = begun, mended, mended
		if got := h.blame(loss{x.from, x.to, x.at}); got != x.want {
			t.Errorf("%s: blamed %v, want %v", x.about, got, x.want)
		}
		if lost := w.lost > 0; lost != x.want {
			t.Errorf("%s: it counted %d", x.about, w.lost)
		}
	}
}

// A change of links answers for a few packets of each pair, not for a hole.
func TestAChangeOfLinksAnswersForFew(t *testing.T) {
	h := newHistory(nil)
	defer h.relinks("h1")()
	from, to := actorOn("h1", 1), actorOn("h2", 2)
	for i := range relinkLosses {
		if !h.blame(loss{from, to, time.Now()}) {
			t.Fatalf("loss %d is not the change's", i)
		}
	}
	if h.blame(loss{from, to, time.Now()}) {
		t.Errorf("%d losses are the change's", relinkLosses+1)
	}
	if !h.blame(loss{to, from, time.Now()}) {
		t.Error("another pair has no losses of its own")
	}
	if h.harmed("h1", "h2", time.Now()) {
		t.Error("a change of links excuses a container's first packet")
	}
}

func TestReportSumsKindsUp(t *testing.T) {
	h := newHistory(nil)
	for i, seconds := range []int{3, 1, 2} {
		w := h.begin("kill switch", "kill switch/h1", harmsHost("h1"))
		w.ended = w.begun
		w.mended = w.ended.Add(time.Duration(seconds) * time.Second)
		w.lost = i
	}
	h.begin("cut", "not mended yet", harmless)
	h.count("requests refused")
	got := h.report(7)
	if got.Taken.IsZero() {
		t.Error("the report does not say when it was taken")
	}
	got.Took, got.Taken = 0, time.Time{}
	want := &Report{Seed: 7, Counts: map[string]int{"requests refused": 1}, Faults: []FaultReport{
		{Kind: "kill switch", Times: 3, Lost: 3, Mended: 2 * time.Second, Worst: 3 * time.Second},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// One seed gives the same faults again, and each kind comes.
func TestSeedsChooseFaults(t *testing.T) {
	w := &world{lab: lab.Status{
		Hosts:       []lab.Host{{Name: "h1"}, {Name: "h2"}, {Name: "h3"}},
		Controllers: []lab.Machine{{Name: "c1"}, {Name: "c2"}},
		EtcdMembers: []lab.Machine{{Name: "e1"}, {Name: "e2"}, {Name: "e3"}},
	}}
	first, second := rand.New(rand.NewPCG(5, 1)), rand.New(rand.NewPCG(5, 1))
	kinds := map[string]bool{}
	for range 500 {
		a, b := makers[first.IntN(len(makers))](w, first), makers[second.IntN(len(makers))](w, second)
		if a.what != b.what || len(a.parts) == 0 || a.begin == nil || a.harms == nil {
			t.Fatalf("%q and %q of one seed, parts %v", a.what, b.what, a.parts)
		}
		kinds[a.kind] = true
	}
	if len(kinds) != len(makers) {
		t.Errorf("%d kinds of faults came, of %d: %v", len(kinds), len(makers), kinds)
	}
	kinds[kindAttach] = true
	if diff := cmp.Diff(slices.Sorted(maps.Keys(kinds)), slices.Sorted(maps.Keys(mayHarm))); diff != "" {
		t.Errorf("kinds whose harm docs/reliability.md tells in words (-there are +told):\n%s", diff)
	}
	without := &world{lab: lab.Status{Hosts: w.lab.Hosts, Controllers: w.lab.Controllers}}
	for i, make := range makers {
		if f := make(without, first); strings.Contains(f.what, "etcd/") {
			t.Errorf("fault %d breaks a member of etcd that there is not: %s", i, f.what)
		}
	}
}

func TestBreakersTakeNoPartTwice(t *testing.T) {
	c := newCrew(&run{})
	if !c.take([]string{"h1", "c1"}) || c.take([]string{"h2", "c1"}) || !c.take([]string{"h2"}) {
		t.Error("a part is taken twice, or not at all")
	}
	c.release([]string{"h1", "c1"})
	if !c.take([]string{"c1"}) || c.take([]string{"h2"}) {
		t.Error("what was released is not free, or more than that")
	}
}

// TestDocs keeps docs/reliability.md as it is generated from the kept run.
func TestDocs(t *testing.T) {
	const kept = "../../docs/reliability/run.json"
	b, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	var r Report
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatalf("%s: %v", kept, err)
	}
	golden.Check(t, "../../docs/reliability.md", Page(&r), *update)
}

func TestPageTellsEachFault(t *testing.T) {
	r := &Report{Seed: 7, Took: 30 * time.Minute, Machine: "a machine", Counts: map[string]int{"requests refused": 3, "containers attached": 9},
		Faults: []FaultReport{{Kind: "kill switch", Times: 2, Lost: 5, Mended: 1500 * time.Millisecond, Worst: 4 * time.Second}}}
	got := string(Page(r))
	for _, want := range []string{
		"for 30m0s.", "- containers attached: 9\n- requests refused: 3\n", "with seed 7 on a machine.",
		"| kill switch | 2 | pairs of that host | 5 | 1.5 s | 4.0 s |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the page lacks %q:\n%s", want, got)
		}
	}
}
