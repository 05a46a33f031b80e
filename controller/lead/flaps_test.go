package lead

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/store"
)

// A host may be gone to at once after its first fall; after each further one for twice as long as before. What it is like after an hour of
// calm is as in the beginning. More tenants that are taken over from a host that has not returned are no further fall.
func TestFlaps(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f := flaps{}
	for _, tt := range []struct {
		at   time.Duration // since the start
		what string        // "falls", "returns"; empty: nothing
		want string        // who is shunned
	}{
		{0, "", ""},
		{1 * time.Minute, "falls", ""},
		{2 * time.Minute, "falls", ""}, // its other tenants
		{3 * time.Minute, "returns", ""},
		{5 * time.Minute, "falls", "h1"}, // two minutes
		{6 * time.Minute, "returns", "h1"},
		{6*time.Minute + 59*time.Second, "", "h1"},
		{7 * time.Minute, "", ""},
		{10 * time.Minute, "falls", "h1"}, // four
		{11 * time.Minute, "returns", "h1"},
		{14 * time.Minute, "", ""},
		{20 * time.Minute, "falls", "h1"}, // eight
		{27 * time.Minute, "returns", "h1"},
		{28 * time.Minute, "", ""},
		{88 * time.Minute, "falls", ""}, // after an hour of calm
		{89 * time.Minute, "returns", ""},
		{90 * time.Minute, "falls", "h1"},
		{92 * time.Minute, "", ""},
		{100 * time.Minute, "falls", ""}, // it has not returned
	} {
		now := start.Add(tt.at)
		switch tt.what {
		case "falls":
			f.fell("h1", now)
		case "returns":
			f.look(func(host string) bool { return host == "h1" })
		}
		got := strings.Join(slices.Sorted(maps.Keys(f.shunned(now))), " ")
		if waits := f.over(now) != nil; got != tt.want || waits != (tt.want != "") {
			t.Errorf("after %s, when it %s: shunned %q, want %q; somebody waits %t", tt.at, tt.what, got, tt.want, waits)
		}
	}
}

// Once somebody may go to a host again, that is told once, each time.
func TestFlapsEndOnce(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f := flaps{}
	falls := func() {
		f.fell("h1", at)
		f.look(func(string) bool { return true })
	}
	falls()
	if got := f.ended(at.Add(time.Minute)); got != nil {
		t.Errorf("after the first fall, which keeps nobody away: %v", got)
	}
	for _, shun := range []time.Duration{shunFirst, 2 * shunFirst} {
		falls()
		for _, tt := range []struct {
			after time.Duration
			want  []string
		}{{0, nil}, {shun - 1, nil}, {shun, []string{"h1"}}, {shun + 1, nil}} {
			if got := f.ended(at.Add(tt.after)); !slices.Equal(got, tt.want) {
				t.Errorf("%s after a fall: %v, want %v", tt.after, got, tt.want)
			}
		}
		at = at.Add(shun)
	}
}

// It is an hour at most, and calm after another one.
func TestFlapsAreBounded(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f := flaps{}
	for range 100 {
		f.fell("h1", at)
		f.look(func(string) bool { return true })
	}
	if !f.shunned(at.Add(shunMost - time.Second))["h1"] || f.shunned(at.Add(shunMost))["h1"] {
		t.Errorf("after 100 falls it is %+v", f)
	}
	if f.over(at.Add(shunMost+shunCalm)) != nil || len(f) > 0 {
		t.Errorf("after a calm hour it is %+v", f)
	}
}

// While nobody goes to a host that flaps it is a problem, which says until when.
func TestFlapsAreTold(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f := flaps{}
	for range 2 {
		f.fell("h1", at)
		f.look(func(string) bool { return true })
	}
	f.fell("h2", at)
	p := f.problems(at.Add(time.Minute))
	if len(p) != 1 || p[0].Object != "hosts/h1" || !strings.Contains(p[0].Text, "taken over from 2 times") || !strings.Contains(p[0].Text, "before 2026-01-02 03:06:05") {
		t.Errorf("the problems are %v", p)
	}
	if p := f.problems(at.Add(shunFirst)); len(p) > 0 {
		t.Errorf("once it may be gone to: %v", p)
	}
}

// The leader is woken when the first of them may be gone to.
func TestFlapsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, start := flaps{}, time.Now()
		for host, falls := range map[string]int{"h1": 2, "h2": 3} {
			for range falls {
				f.fell(host, start)
				f.look(func(string) bool { return true })
			}
		}
		<-f.over(start)
		if took := time.Since(start); took != shunFirst || f.shunned(time.Now())["h1"] || !f.shunned(time.Now())["h2"] {
			t.Errorf("after %s: %+v", took, f)
		}
	})
}

// Nobody goes to a host that flaps while there is another: no first gateway, no backup, no tenant that names it and has a gateway. A host that flaps
// is better than none.
func TestShunnedHosts(t *testing.T) {
	h1 := map[string]bool{"h1": true}
	for _, tt := range []struct {
		what    string
		is      store.Gateway // the zero value: none
		tenant  string
		lines   []string
		shunned map[string]bool
		want    string // active, backup, where it moves
	}{
		{"a first gateway", store.Gateway{}, "tenant a auto", ready[:3], h1, "h2  "},
		{"nobody else is there", store.Gateway{}, "tenant a auto", ready[:1], h1, "h1  "},
		{"a backup", store.Gateway{Active: "h2"}, "tenant a auto", ready[:3], h1, "h2 h3 "},
		{"one that was it", store.Gateway{Active: "h2", Backup: "h1"}, "tenant a auto", ready[:3], h1, "h2 h3 "},
		{"one that was it and stays alone", store.Gateway{Active: "h2", Backup: "h1"}, "tenant a auto", ready[:2], h1, ""},
		{"nobody else can be it", store.Gateway{Active: "h2"}, "tenant a auto", ready[:2], h1, "h2 h1 "},
		{"who names it", store.Gateway{Active: "h2", Backup: "h3"}, "tenant a h1", ready[:3], h1, ""},
		{"who names it, later", store.Gateway{Active: "h2", Backup: "h3"}, "tenant a h1", ready[:3], nil, "h2 h3 h1"},
		{"who names it first", store.Gateway{}, "tenant a h1", ready[:3], h1, "h1  "},
	} {
		gateways := map[string]store.Gateway{}
		if tt.is.Active != "" {
			gateways["a"] = tt.is
		}
		s := failingOver(t, true, gateways, append(tt.lines[:len(tt.lines):len(tt.lines)], tt.tenant)...)
		got := ""
		for _, p := range place(s, doubts{all: true}, time.Time{}, tt.shunned).placements {
			got = p.gateway.Active + " " + p.gateway.Backup + " "
			if p.gateway.Move != nil {
				got += p.gateway.Move.To
			}
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.what, got, tt.want)
		}
	}
}
