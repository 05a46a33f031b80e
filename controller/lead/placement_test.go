package lead

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/store"
)

// stateOf builds a state from lines: "host NAME gateway=BOOL weight=N live=BOOL",
// "tenant NAME POLICY" (unset: none is stored) and "gateway TENANT HOST".
func stateOf(t *testing.T, lines ...string) *store.State {
	t.Helper()
	s := store.NewState()
	b := store.Batch{}
	put := func(k store.Key, o store.Object) {
		b.Revision++
		b.Events = append(b.Events, store.Event{Key: k, Object: o, Created: b.Revision, Modified: b.Revision})
	}
	for n, line := range lines {
		f := strings.Fields(line)
		switch f[0] {
		case "host":
			h := &store.Host{DatapathID: store.DatapathID(n + 1), Gateway: f[2] == "gateway=true"}
			if why, refuses := strings.CutPrefix(f[2], "gateway="); refuses && why != "true" && why != "false" {
				h.NoGateway = why
			}
			fmt.Sscanf(f[3], "weight=%d", &h.Weight)
			put(store.HostKey(f[1]), h)
			if f[4] == "live=true" {
				put(store.LiveHostKey(f[1]), &store.LiveHost{})
			}
		case "tenant":
			put(store.TenantKey(f[1]), &store.Tenant{Number: uint32(n + 1), Gateway: strings.TrimPrefix(f[2], "unset")})
		case "gateway":
			put(store.GatewayKey(f[1]), &store.Gateway{Active: f[2], Epoch: 7})
		default:
			t.Fatalf("unknown line %q", line)
		}
	}
	s.Apply(b)
	return s
}

func TestPlace(t *testing.T) {
	tests := []struct {
		name     string
		cluster  []string
		want     []string // tenant host epoch
		problems []string // object: a part of the text
	}{
		{
			name:    "auto spreads by weight over live gateway hosts",
			cluster: []string{"host h1 gateway=true weight=2 live=true", "host h2 gateway=true weight=1 live=true", "host h3 gateway=true weight=9 live=false", "host h4 gateway=false weight=9 live=true", "tenant a auto", "tenant b auto", "tenant c auto"},
			want:    []string{"a h1 1", "b h1 1", "c h2 1"},
		},
		{
			name:    "central tenants share one host",
			cluster: []string{"host h1 gateway=true weight=1 live=true", "host h2 gateway=true weight=1 live=true", "tenant a central", "tenant b central", "tenant c central", "gateway a h2"},
			want:    []string{"b h2 1", "c h2 1"},
		},
		{
			name:    "the first central tenant decides for the others",
			cluster: []string{"host h1 gateway=true weight=1 live=true", "host h2 gateway=true weight=1 live=true", "tenant a central", "tenant b central", "tenant c central"},
			want:    []string{"a h1 1", "b h1 1", "c h1 1"},
		},
		{
			name:    "central tenants do not follow an auto one, nor a host that is no gateway any more",
			cluster: []string{"host h1 gateway=true weight=1 live=true", "host h2 gateway=true weight=1 live=true", "host h3 gateway=false weight=1 live=true", "tenant a auto", "gateway a h2", "tenant b central", "gateway b h3", "tenant c central"},
			want:    []string{"b h1 8", "c h1 1"},
		},
		{
			name:    "a tenant that says nothing is as auto",
			cluster: []string{"host h1 gateway=true weight=1 live=true", "host h2 gateway=true weight=1 live=true", "tenant a unset", "gateway a h1", "tenant b unset"},
			want:    []string{"b h2 1"},
		},
		{
			name:    "a live host comes before a lighter one that is away, wherever it stands in the list",
			cluster: []string{"host h1 gateway=true weight=1 live=true", "host h2 gateway=true weight=9 live=false", "host h3 gateway=true weight=1 live=true", "tenant a auto", "tenant b auto", "tenant c auto"},
			want:    []string{"a h1 1", "b h3 1", "c h1 1"},
		},
		{
			name:    "where none is live, one that is registered is chosen",
			cluster: []string{"host h1 gateway=true weight=1 live=false", "host h2 gateway=true weight=2 live=false", "tenant a auto"},
			want:    []string{"a h2 1"},
		},
		{
			name:    "a host without weight weighs one",
			cluster: []string{"host h1 gateway=true weight=0 live=true", "host h2 gateway=true weight=1 live=true", "tenant a auto", "tenant b auto", "tenant c auto"},
			want:    []string{"a h1 1", "b h2 1", "c h1 1"},
		},
		{
			name:    "who asks for another host by name gets it",
			cluster: []string{"host h1 gateway=true weight=1 live=true", "host h2 gateway=true weight=1 live=true", "tenant a h2", "gateway a h1", "tenant b h2", "gateway b h2"},
			want:    []string{"a h1 7 to h2"},
		},
		{
			name:     "a named host is obeyed, and one that cannot be is a problem",
			cluster:  []string{"host h1 gateway=true weight=1 live=true", "host h2 gateway=false weight=1 live=true", "tenant a h1", "tenant b h2", "tenant c h9", "host h3 gateway=overlap weight=1 live=true", "tenant d h3"},
			want:     []string{"a h1 1"},
			problems: []string{"tenants/b: host h2 is no gateway host: its agent runs without --gateway", "tenants/c: gateway host h9 is not registered", "tenants/d: host h3 is no gateway host: overlap"},
		},
		{
			name:    "a gateway that fits stays, also while its host is away",
			cluster: []string{"host h1 gateway=true weight=1 live=false", "host h2 gateway=true weight=1 live=true", "tenant a auto", "gateway a h1"},
		},
		{
			name:    "a gateway host that is gone is replaced in a new epoch",
			cluster: []string{"host h2 gateway=true weight=1 live=true", "tenant a auto", "gateway a h1"},
			want:    []string{"a h2 8"},
		},
		{
			name:     "no gateway host at all",
			cluster:  []string{"host h1 gateway=false weight=1 live=true", "tenant a auto"},
			problems: []string{"tenants/a: no gateway host is registered"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := place(stateOf(t, tt.cluster...), doubts{all: true}, time.Time{}, nil)
			placements, unplaced := p.placements, p.problems
			var got []string
			for _, p := range placements {
				line := fmt.Sprintf("%s %s %d", p.tenant, p.gateway.Active, p.gateway.Epoch)
				if m := p.gateway.Move; m != nil {
					line += " to " + m.To
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("placements (-want +got):\n%s", diff)
			}
			var problems []store.Problem
			for _, tenant := range slices.Sorted(maps.Keys(unplaced)) {
				problems = append(problems, unplaced[tenant])
			}
			if len(problems) != len(tt.problems) {
				t.Fatalf("problems %v, want %v", problems, tt.problems)
			}
			for i, p := range problems {
				if !strings.HasPrefix(p.Object+": "+p.Text, tt.problems[i]) {
					t.Errorf("problem %v, want %s", p, tt.problems[i])
				}
			}
		})
	}
}

// What a change of one tenant costs must not grow with the others: only those in doubt are
// looked at.
func TestPlaceLooksOnlyAtTenantsInDoubt(t *testing.T) {
	s := stateOf(t, "host h1 gateway=true weight=1 live=true", "host h2 gateway=true weight=1 live=true",
		"tenant a auto", "tenant b auto", "tenant c h9", "tenant d h1", "gateway a h1")
	var d doubts
	for _, tenant := range []string{"a", "d", "gone"} {
		d.note(tenant)
	}
	var looked []string
	for tenant := range d.of(s) {
		looked = append(looked, tenant.Key.Tenant)
	}
	if diff := cmp.Diff([]string{"a", "d"}, looked); diff != "" {
		t.Errorf("looked at (-want +got):\n%s", diff)
	}
	p := place(s, d, time.Time{}, nil)
	placements, problems := p.placements, p.problems
	if len(placements) != 1 || placements[0].tenant != "d" || len(problems) != 0 {
		t.Errorf("placements %v, problems %v: want d's alone", placements, problems)
	}
	if d.take(); len(d.tenants) != 0 {
		t.Errorf("doubts %v stay after they were taken", d)
	}
	d.noteAll()
	d.note("a")
	if !d.all || len(d.tenants) != 0 {
		t.Errorf("doubts %v: one more tenant is no more than all", d)
	}
}

// What is written says why, and replaces the very gateway that was looked at.
func TestPlacementSaysWhy(t *testing.T) {
	s := stateOf(t, "host h1 gateway=true weight=1 live=true", "tenant a auto", "gateway a gone", "tenant b central", "tenant c h1")
	placements := place(s, doubts{all: true}, time.Time{}, nil).placements
	modified := s.Gateway("a").Modified
	want := []placement{
		{tenant: "a", gateway: store.Gateway{Active: "h1", Epoch: 8, Why: "auto: the fewest tenants for its weight, 0 at weight 1; ready gateway hosts: 1"}, modified: modified},
		{tenant: "b", gateway: store.Gateway{Active: "h1", Epoch: 1, Why: "central: the host that all central tenants share"}, modified: 0},
		{tenant: "c", gateway: store.Gateway{Active: "h1", Epoch: 1, Why: "chosen by name"}, modified: 0},
	}
	if diff := cmp.Diff(want, placements, cmp.AllowUnexported(placement{})); diff != "" {
		t.Errorf("placements (-want +got):\n%s", diff)
	}
}

func TestDoubts(t *testing.T) {
	for _, c := range []struct {
		key            store.Key
		casts          bool
		all            bool
		hosts, tenants []string
	}{
		{store.HostKey("h1"), true, false, []string{"h1"}, nil},
		{store.LiveHostKey("h1"), true, false, []string{"h1"}, nil},
		{store.DrainKey("h1"), true, false, []string{"h1"}, nil},
		{store.SettingsKey(), true, true, nil, nil},
		{store.TenantKey("a"), true, false, nil, []string{"a"}},
		{store.GatewayKey("b"), true, false, nil, []string{"b"}},
		{store.PortKey("h1", "a", "default", "p"), false, false, nil, nil},
		{store.NetworkKey("a", "default"), false, false, nil, nil},
	} {
		var d doubts
		casts := d.change(store.Change{Key: c.key})
		if casts != c.casts || d.all != c.all || !slices.Equal(slices.Sorted(maps.Keys(d.tenants)), c.tenants) || !slices.Equal(slices.Sorted(maps.Keys(d.hosts)), c.hosts) {
			t.Errorf("%s casts doubt %v: %+v", c.key.Short(), casts, d)
		}
	}
	if l := New(Options{}); !l.doubts.all {
		t.Error("who does not lead yet collects doubts of single tenants")
	}
	d := doubts{all: true}
	d.note("a")
	if len(d.tenants) > 0 {
		t.Error("one tenant is noted though all are in doubt")
	}
	if taken := d.take(); !taken.all || d.all {
		t.Error("doubts that were taken are still there, or were not handed out")
	}
	s := stateOf(t, "tenant a auto", "tenant b auto", "tenant c auto")
	d = doubts{tenants: map[string]struct{}{"a": {}, "b": {}}}
	for range d.of(s) {
		break // a walk may end early
	}
}

// The load of a gateway host is kept as gateways come, move and go.
func TestPlaceCountsTheGatewaysThatThereAre(t *testing.T) {
	s := stateOf(t, "host h1 gateway=true weight=1 live=true", "host h2 gateway=true weight=1 live=true",
		"tenant a auto", "tenant b auto", "gateway a h1", "gateway a h2", "gateway b h2", "tenant c auto")
	if h1, h2 := s.ActiveVia("h1"), s.ActiveVia("h2"); h1 != 0 || h2 != 2 {
		t.Errorf("tenants via h1, h2: %d, %d, want 0, 2", h1, h2)
	}
	s.Apply(store.Batch{Revision: 100, Events: []store.Event{{Key: store.GatewayKey("b")}}})
	if got := s.ActiveVia("h2"); got != 1 {
		t.Errorf("tenants via h2 after one went: %d, want 1", got)
	}
}
