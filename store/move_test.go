package store

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var askedAt = time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC)

// gatewayState has alice, who leaves by h1, and hosts: h2 and h3 could be hers, h4 is drained, h5 no gateway host, h6
// away, h7 not ready.
func gatewayState(change ...Event) *State {
	s := NewState()
	b := Batch{}
	put := func(key Key, o Object) {
		b.Revision++
		b.Events = append(b.Events, Event{Key: key, Object: o, Created: b.Revision, Modified: b.Revision})
	}
	for n, host := range []string{"h1", "h2", "h3", "h4", "h5", "h6", "h7"} {
		h := &Host{DatapathID: DatapathID(n + 1), Gateway: host != "h5"}
		if host == "h7" {
			h.NotReady = "nftables: broken"
		}
		put(HostKey(host), h)
		if host != "h6" {
			put(LiveHostKey(host), &LiveHost{})
		}
	}
	put(DrainKey("h4"), &Drain{Since: askedAt})
	put(TenantKey("alice"), &Tenant{Number: 1, Gateway: GatewayAuto})
	put(GatewayKey("alice"), &Gateway{Active: "h1", Epoch: 3})
	for _, e := range change {
		put(e.Key, e.Object)
	}
	s.Apply(b)
	return s
}

func TestMoves(t *testing.T) {
	gateway := func(g Gateway) Event { return Event{Key: GatewayKey("alice"), Object: &g} }
	policy := func(p string) Event {
		return Event{Key: TenantKey("alice"), Object: &Tenant{Number: 1, Gateway: p}}
	}
	for _, c := range []struct {
		name   string
		change []Event
		spec   MoveSpec
		err    error
		says   []string // nothing: it is written
	}{
		{"to another", nil, MoveSpec{Tenant: "alice", Host: "h2", Timeout: 60}, nil, nil},
		{"to one that drains", []Event{gateway(Gateway{Active: "h1", Draining: []string{"h2", "h3", "h8"}})}, MoveSpec{Tenant: "alice", Host: "h2"}, nil, nil},
		{"to the one that its policy names", []Event{policy("h2")}, MoveSpec{Tenant: "alice", Host: "h2"}, nil, nil},
		{"to where it is", nil, MoveSpec{Tenant: "alice", Host: "h1"}, ErrExists, []string{"tenant alice", "leaves by h1", "nothing to move"}},
		{"twice", []Event{gateway(Gateway{Active: "h1", Move: &Move{To: "h2", Since: askedAt}})}, MoveSpec{Tenant: "alice", Host: "h2"}, ErrExists, []string{"on its way to h2", "2026-01-02T03:04:05Z"}},
		{"two at once", []Event{gateway(Gateway{Active: "h1", Move: &Move{To: "h2", Since: askedAt}})}, MoveSpec{Tenant: "alice", Host: "h3"}, ErrInUse, []string{"on its way to h2", "wait"}},
		{"back while it moves", []Event{gateway(Gateway{Active: "h1", Move: &Move{To: "h2", Since: askedAt}})}, MoveSpec{Tenant: "alice", Host: "h1"}, ErrInUse, []string{"on its way to h2"}},
		{"to nobody", nil, MoveSpec{Tenant: "alice", Host: "h9"}, ErrNotFound, []string{"h9", "no such host"}},
		{"to one that is none", nil, MoveSpec{Tenant: "alice", Host: "h5"}, ErrInvalid, []string{"host h5", "no gateway host", "--gateway"}},
		{"to one that is drained", nil, MoveSpec{Tenant: "alice", Host: "h4"}, ErrInvalid, []string{"host h4", "drained since", "undrain h4"}},
		{"to one that is away", nil, MoveSpec{Tenant: "alice", Host: "h6"}, ErrInvalid, []string{"host h6", "not ready", "its agent is away"}},
		{"to one that is not ready", nil, MoveSpec{Tenant: "alice", Host: "h7"}, ErrInvalid, []string{"host h7", "not ready", "nftables: broken"}},
		{"with too many that drain", []Event{gateway(Gateway{Active: "h1", Draining: []string{"h3", "h8", "h9"}})}, MoveSpec{Tenant: "alice", Host: "h2"}, ErrInUse, []string{"h3, h8, h9", "wait"}},
		{"of one that names another", []Event{policy("h1")}, MoveSpec{Tenant: "alice", Host: "h2"}, ErrInvalid, []string{"names host h1", "gateway policy alice h2"}},
		{"of a central one", []Event{policy("central")}, MoveSpec{Tenant: "alice", Host: "h2"}, ErrInvalid, []string{"central", "gateway central h2"}},
		{"of nobody", nil, MoveSpec{Tenant: "bob", Host: "h2"}, ErrNotFound, []string{"bob"}},
		{"of one without", []Event{{Key: GatewayKey("alice")}}, MoveSpec{Tenant: "alice", Host: "h2"}, ErrNotFound, []string{"no gateway host yet"}},
		{"with no name", nil, MoveSpec{Tenant: "alice", Host: "h/2"}, ErrInvalid, []string{"host", "h/2"}},
		{"for a year", nil, MoveSpec{Tenant: "alice", Host: "h2", Timeout: 1 << 25}, ErrInvalid, []string{"time-out"}},
		{"for less than nothing", nil, MoveSpec{Tenant: "alice", Host: "h2", Timeout: -1}, ErrInvalid, []string{"time-out of -1 s"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := gatewayState(c.change...)
			c.spec.Now = askedAt
			p, err := c.spec.Propose(s)
			if !errors.Is(err, c.err) {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			for _, says := range c.says {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("%q does not say %q", err, says)
				}
			}
			if c.err != nil {
				return
			}
			want := *s.Gateway("alice").Value
			want.Move = &Move{To: c.spec.Host, Since: askedAt.Truncate(time.Second), Timeout: c.spec.Timeout, Why: "moved by hand"}
			proposed(t, c.name, p, err, Proposal{
				Writes: []Event{{Key: GatewayKey("alice"), Object: &want}},
				Presumes: []Presumption{
					{Condition: Unchanged, Path: GatewayKey("alice").String(), Revision: s.Gateway("alice").Modified},
					{Condition: Unchanged, Path: TenantKey("alice").String(), Revision: s.Tenant("alice").Modified},
					{Condition: CreatedAt, Path: HostKey("h2").String(), Revision: s.Host("h2").Created},
					{Condition: Absent, Path: DrainKey("h2").String()},
				},
			})
		})
	}
}

func TestPolicies(t *testing.T) {
	s := gatewayState()
	for _, c := range []struct {
		policy string
		err    error
		writes bool
	}{
		{"auto", nil, false}, {"central", nil, true}, {"h2", nil, true}, {"h4", nil, true}, {"h5", ErrInvalid, false}, {"h9", ErrNotFound, false}, {"a b", ErrInvalid, false},
	} {
		p, err := PolicySpec{Tenant: "alice", Policy: c.policy}.Propose(s)
		if !errors.Is(err, c.err) || c.writes != (len(p.Writes) == 1) {
			t.Errorf("%s: %+v, %v", c.policy, p, err)
		}
		if c.writes && p.Writes[0].Object.(*Tenant).Gateway != c.policy {
			t.Errorf("%s: written is %+v", c.policy, p.Writes[0].Object)
		}
	}
	if _, err := (PolicySpec{Tenant: "bob", Policy: "auto"}).Propose(s); !errors.Is(err, ErrNotFound) {
		t.Errorf("of nobody: %v", err)
	}
}

func TestDrains(t *testing.T) {
	away := []Event{{Key: LiveHostKey("h2")}, {Key: LiveHostKey("h3")}}
	for _, c := range []struct {
		name   string
		change []Event
		spec   DrainSpec
		want   *Drain
		says   string
	}{
		{"with the defaults", nil, DrainSpec{Host: "h1"}, &Drain{Since: askedAt.Truncate(time.Second), AtOnce: DefaultAtOnce}, ""},
		{"with numbers", nil, DrainSpec{Host: "h1", AtOnce: 3, Timeout: 9}, &Drain{Since: askedAt.Truncate(time.Second), AtOnce: 3, Timeout: 9}, ""},
		{"again", nil, DrainSpec{Host: "h4", AtOnce: 2}, &Drain{Since: askedAt, AtOnce: 2}, ""},
		{"nowhere to go", away, DrainSpec{Host: "h1"}, nil, "no other gateway host is ready"},
		{"nothing to move", away, DrainSpec{Host: "h2"}, &Drain{Since: askedAt.Truncate(time.Second), AtOnce: DefaultAtOnce}, ""},
		{"no gateway host", nil, DrainSpec{Host: "h5"}, nil, "there is nothing to drain"},
		{"nobody", nil, DrainSpec{Host: "h9"}, nil, "no such host"},
		{"too many", nil, DrainSpec{Host: "h1", AtOnce: 101}, nil, "give 1 to 100"},
		{"too long", nil, DrainSpec{Host: "h1", Timeout: 1 << 25}, nil, "time-out"},
	} {
		c.spec.Now = askedAt
		p, err := c.spec.Propose(gatewayState(c.change...))
		if c.want == nil {
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v, want %q", c.name, err, c.says)
			}
			continue
		}
		if err != nil || len(p.Writes) != 1 {
			t.Errorf("%s: %+v, %v", c.name, p, err)
			continue
		}
		if diff := cmp.Diff(c.want, p.Writes[0].Object); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
	s := gatewayState()
	if p, err := ProposeUndrain(s, "h4"); err != nil || len(p.Writes) != 1 || p.Writes[0].Key != DrainKey("h4") || p.Writes[0].Object != nil {
		t.Errorf("undrained: %+v, %v", p, err)
	}
	for _, host := range []string{"h1", "h9"} {
		if _, err := ProposeUndrain(s, host); !errors.Is(err, ErrNotFound) {
			t.Errorf("undrain %s: %v", host, err)
		}
	}
}

func TestCentral(t *testing.T) {
	s := gatewayState(Event{Key: SettingsKey(), Object: &Settings{Transit: DefaultTransit.Prefix, Central: "h1"}})
	p, err := CentralSpec{Host: "h2"}.Propose(s)
	if err != nil || len(p.Writes) != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	if diff := cmp.Diff(&Settings{Transit: DefaultTransit.Prefix, Central: "h2"}, p.Writes[0].Object, cmp.Comparer(func(a, b Settings) bool { return reflect.DeepEqual(a, b) })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if p, err := (CentralSpec{Host: "h1"}).Propose(s); err != nil || len(p.Writes) != 0 {
		t.Errorf("where it is that already: %+v, %v", p, err)
	}
	for _, host := range []string{"h4", "h5", "h6", "h9"} {
		if _, err := (CentralSpec{Host: host}).Propose(s); err == nil {
			t.Errorf("%s is taken", host)
		}
	}
}
