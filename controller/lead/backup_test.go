package lead

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/store"
)

// failingOver is a state whose gateways fail over. A gateway of lines may have a backup besides: "backup TENANT HOST".
func failingOver(t *testing.T, on bool, gateways map[string]store.Gateway, lines ...string) *store.State {
	t.Helper()
	s := stateOf(t, lines...)
	r := s.Revision() + 1
	put := func(key store.Key, o store.Object) {
		s.Apply(store.Batch{Revision: r, Events: []store.Event{{Key: key, Object: o, Created: r, Modified: r}}})
		r++
	}
	put(store.SettingsKey(), &store.Settings{FailOver: on})
	for tenant, g := range gateways {
		put(store.GatewayKey(tenant), &g)
	}
	return s
}

// ready are three gateway hosts and a tenant.
var ready = []string{"host h1 gateway=true weight=1 live=true", "host h2 gateway=true weight=1 live=true",
	"host h3 gateway=true weight=1 live=true", "tenant a auto"}

func TestBackups(t *testing.T) {
	for _, tt := range []struct {
		what  string
		is    store.Gateway
		off   bool
		lines []string
		want  store.Gateway // the zero value: it stays
	}{
		{what: "the first", is: store.Gateway{Active: "h1"}, want: store.Gateway{Active: "h1", Backup: "h2"}},
		{what: "it stays", is: store.Gateway{Active: "h1", Backup: "h3"}},
		{what: "nobody wants one", off: true, is: store.Gateway{Active: "h1"}},
		{what: "nobody wants one any more", off: true, is: store.Gateway{Active: "h1", Backup: "h3"},
			want: store.Gateway{Active: "h1", Standby: []string{"h3"}}},
		{what: "who has a part in the move is none", is: store.Gateway{Active: "h1", Draining: []string{"h2"}},
			want: store.Gateway{Active: "h1", Draining: []string{"h2"}, Backup: "h3"}},
		{what: "nobody is left", is: store.Gateway{Active: "h1", Draining: []string{"h2"}, Move: &store.Move{To: "h3"}}},
		{what: "the least loaded for its weight", lines: []string{"host h4 gateway=true weight=2 live=true", "tenant b auto", "gateway b h2"},
			is: store.Gateway{Active: "h1"}, want: store.Gateway{Active: "h1", Backup: "h4"}},
		{what: "another where it is away", lines: []string{"host h4 gateway=true weight=1 live=false"},
			is: store.Gateway{Active: "h1", Backup: "h4"}, want: store.Gateway{Active: "h1", Backup: "h2", Standby: []string{"h4"}}},
		{what: "it stays where nobody else is ready", is: store.Gateway{Active: "h1", Draining: []string{"h2", "h3"}, Backup: "h4"},
			lines: []string{"host h4 gateway=true weight=1 live=false"}},
		{what: "none that is no gateway host, or away", is: store.Gateway{Active: "h1", Draining: []string{"h2", "h3"}},
			lines: []string{"host h4 gateway=true weight=1 live=false", "host h5 gateway=false weight=1 live=true"}},
		{what: "its host is gone", is: store.Gateway{Active: "h1", Backup: "gone"}, want: store.Gateway{Active: "h1", Backup: "h2"}},
	} {
		s := failingOver(t, !tt.off, map[string]store.Gateway{"a": tt.is}, append(ready, tt.lines...)...)
		var d doubts
		d.note("a")
		var got store.Gateway
		for _, p := range place(s, d, time.Time{}, nil).placements {
			got = p.gateway
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.what, diff)
		}
	}
}

// Backups that are chosen at one time are spread.
func TestBackupsAreSpread(t *testing.T) {
	gateways, lines := map[string]store.Gateway{}, ready
	for i := range 8 {
		name := fmt.Sprint("t", i)
		lines = append(lines, "tenant "+name+" auto")
		gateways[name] = store.Gateway{Active: "h1"}
	}
	count := map[string]int{}
	for _, p := range place(failingOver(t, true, gateways, lines...), doubts{all: true}, time.Time{}, nil).placements {
		count[p.gateway.Backup]++
	}
	if count["h2"] != 4 || count["h3"] != 4 {
		t.Errorf("backups by host: %v", count)
	}
}

// Whoever gets another part is the backup no more: a move by policy, a first gateway anew.
func TestBackupLeavesForAnotherPart(t *testing.T) {
	s := failingOver(t, true, map[string]store.Gateway{"a": {Active: "h1", Backup: "h2"}}, append(ready[:3:3], "tenant a h2")...)
	if p := place(s, doubts{all: true}, time.Time{}, nil).placements; len(p) != 1 || p[0].gateway.Move.To != "h2" || p[0].gateway.Backup != "" {
		t.Errorf("moved to its backup: %+v", p)
	}
	s = failingOver(t, true, map[string]store.Gateway{"a": {Active: "gone", Backup: "h1"}}, ready...)
	if p := place(s, doubts{all: true}, time.Time{}, nil).placements; len(p) != 1 || p[0].gateway.Active != "h1" || p[0].gateway.Backup != "" {
		t.Errorf("placed at its backup: %+v", p)
	}
	s = failingOver(t, true, map[string]store.Gateway{"a": {Active: "gone", Backup: "h2"}}, ready...)
	if p := place(s, doubts{all: true}, time.Time{}, nil).placements; len(p) != 1 || p[0].gateway.Active != "h1" || p[0].gateway.Backup != "h2" {
		t.Errorf("placed elsewhere: %+v", p)
	}
}

// A tenant that names a host which is dead stays at its backup, and comes back once that host is ready.
func TestNamedHostThatIsAwayIsWaitedFor(t *testing.T) {
	for live, moves := range map[string]int{"true": 1, "false": 0} {
		s := failingOver(t, true, map[string]store.Gateway{"a": {Active: "h2", Backup: "h1"}},
			"host h1 gateway=true weight=1 live=true", "host h2 gateway=true weight=1 live=true", "host h3 gateway=true weight=1 live="+live, "tenant a h3")
		var got int
		for _, p := range place(s, doubts{all: true}, time.Time{}, nil).placements {
			if p.gateway.Move != nil {
				got++
			}
		}
		if got != moves {
			t.Errorf("with a host that is live=%s: %d moves, want %d", live, got, moves)
		}
	}
}

func TestTakenOver(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	l := &look{now: at}
	for _, tt := range []struct{ is, want store.Gateway }{
		{store.Gateway{Active: "h1", Backup: "h2", Epoch: 3}, store.Gateway{Active: "h2", Epoch: 4}},
		{store.Gateway{Active: "h1", Backup: "h2", Draining: []string{"h3"}, Ending: map[string]store.Ending{"h3": {}}},
			store.Gateway{Active: "h2", Epoch: 1, Draining: []string{"h3"}, Ending: map[string]store.Ending{"h3": {}}}},
		{store.Gateway{Active: "h1", Backup: "h2", Draining: []string{"h2"}, Standby: []string{"h1", "h3"}, Ending: map[string]store.Ending{"h2": {}}},
			store.Gateway{Active: "h2", Epoch: 1, Standby: []string{"h3"}}},
		{store.Gateway{Active: "h1", Backup: "h2", Move: &store.Move{To: "h3"}}, store.Gateway{Active: "h2", Epoch: 1, Standby: []string{"h3"}}},
		{store.Gateway{Active: "h1", Backup: "h2", Move: &store.Move{To: "h2"}}, store.Gateway{Active: "h2", Epoch: 1}},
	} {
		before := tt.is
		tt.want.Why, tt.want.Since = "h1 is dead: its backup took over", at
		got := l.takenOver(&tt.is)
		empty := func(g store.Gateway) store.Gateway { // of lists, and of maps
			if len(g.Draining) == 0 {
				g.Draining = nil
			}
			if len(g.Standby) == 0 {
				g.Standby = nil
			}
			if len(g.Ending) == 0 {
				g.Ending = nil
			}
			return g
		}
		if diff := cmp.Diff(tt.want, empty(*got)); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", tt.is, diff)
		}
		if diff := cmp.Diff(before, tt.is); diff != "" {
			t.Errorf("it changed the gateway that it was told of:\n%s", diff)
		}
	}
}

// Only a host that is dead is taken over from, and only by a backup that is ready.
func TestTakeOvers(t *testing.T) {
	g := map[string]store.Gateway{"a": {Active: "h1", Backup: "h2"}, "b": {Active: "h1", Backup: "h4"}, "c": {Active: "h2", Backup: "h3"},
		"d": {Active: "h2", Draining: []string{"h1"}, Backup: "h3"}, "e": {Active: "h1"}}
	s := failingOver(t, true, g, "host h1 gateway=true weight=1 live=false", ready[1], ready[2], "host h4 gateway=true weight=1 live=false",
		"tenant a auto", "tenant b auto", "tenant c auto", "tenant d auto", "tenant e auto")
	for dead, want := range map[bool][]string{true: {"a"}, false: nil} {
		var got []string
		for _, p := range (&look{s: s, dead: map[string]bool{"h1": dead, "h4": true}}).takeOvers() {
			got = append(got, p.tenant)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("h1 dead %t (-want +got):\n%s", dead, diff)
		}
	}
	if !gatewayAway(s) || gatewayAway(failingOver(t, true, nil, append(ready, "host h9 gateway=true weight=1 live=false")...)) {
		t.Error("whether a host by which tenants leave is away is not told")
	}
}

// A gateway that is to have a backup and gets none says so, and what to do. It does not while it moves.
func TestGatewaysWithoutBackup(t *testing.T) {
	for _, tt := range []struct {
		what  string
		is    store.Gateway
		off   bool
		lines []string
		says  string // empty: nothing
	}{
		{what: "it gets one", is: store.Gateway{Active: "h1"}, lines: ready[:2]},
		{what: "it has one that is away", is: store.Gateway{Active: "h1", Backup: "h2"}, lines: []string{ready[0], "host h2 gateway=true weight=1 live=false"}},
		{what: "nobody wants one", off: true, is: store.Gateway{Active: "h1"}, lines: ready[:1]},
		{what: "nobody is there", is: store.Gateway{Active: "h1"}, lines: append(ready[:1:1], "host h2 gateway=false weight=1 live=true"), says: "no gateway host but h1 is ready"},
		{what: "all have another part", is: store.Gateway{Active: "h1", Draining: []string{"h2"}}, lines: ready[:2], says: "connections still go on through h2"},
		{what: "it moves", is: store.Gateway{Active: "h1", Move: &store.Move{To: "h2"}}, lines: ready[:2]},
	} {
		s := failingOver(t, !tt.off, map[string]store.Gateway{"a": tt.is}, append(tt.lines[:len(tt.lines):len(tt.lines)], "tenant a auto")...)
		p, has := place(s, doubts{all: true}, time.Time{}, nil).backupless["a"]
		if has != (tt.says != "") || !strings.Contains(p.Text, tt.says) || has && p.Object != "gateways/a" {
			t.Errorf("%s: %+v", tt.what, p)
		}
	}
}

// Where nobody asked for backups and there is no second gateway host, a gateway without one is no problem.
func TestNobodyAskedForBackups(t *testing.T) {
	for _, tt := range []struct {
		second string
		want   bool
	}{
		{"host h2 gateway=false weight=1 live=true", false},
		{"host h2 gateway=true weight=1 live=false", true},
	} {
		s := failingOver(t, true, map[string]store.Gateway{"a": {Active: "h1"}}, ready[0], tt.second, "tenant a auto")
		s.Apply(store.Batch{Revision: s.Revision() + 1, Events: []store.Event{{Key: store.SettingsKey(), Object: store.FirstSettings(), Modified: s.Revision() + 1}}})
		if _, has := place(s, doubts{all: true}, time.Time{}, nil).backupless["a"]; has != tt.want {
			t.Errorf("beside %q: a problem %t, want %t", tt.second, has, tt.want)
		}
	}
}

// A host that lives and has no way out for long enough is taken over from, too; it may come back before.
func TestCutOffHostsAreTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := failingOver(t, true, map[string]store.Gateway{"a": {Active: "h1", Backup: "h2"}}, ready...)
		cut := func(is bool) {
			h := *s.Host("h1").Value
			h.Cut = is
			r := s.Revision() + 1
			s.Apply(store.Batch{Revision: r, Events: []store.Event{{Key: store.HostKey("h1"), Object: &h, Created: 1, Modified: r}}})
		}
		var m moves
		taken := func() (list []placement) { return (&look{s: s, cut: m.cutOff(s)}).takeOvers() }
		if gatewayAway(s) || len(taken()) > 0 {
			t.Error("a host that lives is away")
		}
		cut(true)
		if !gatewayAway(s) || len(taken()) > 0 {
			t.Error("it is not away, or taken over from at once")
		}
		time.Sleep(deadTime - time.Second)
		cut(false)
		taken()
		cut(true)
		taken()
		time.Sleep(deadTime - time.Second)
		if len(taken()) > 0 {
			t.Error("one that came back is taken over from by its time of before")
		}
		time.Sleep(time.Second)
		if list := taken(); len(list) != 1 || list[0].gateway.Active != "h2" || list[0].gateway.Why != "h1 lost its way out: its backup took over" {
			t.Errorf("taken over: %+v", list)
		}
	})
}
