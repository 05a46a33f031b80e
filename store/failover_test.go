package store

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestFailOver(t *testing.T) {
	s := settings(NewState(), "172.20.0.0/16")
	if s.FailOver() {
		t.Error("gateways fail over unasked")
	}
	p, err := FailOverSpec{On: true}.Propose(s)
	want := &Settings{Transit: s.Transit().Prefix, FailOver: true}
	proposed(t, "on", p, err, Proposal{
		Writes: []Event{{Key: SettingsKey(), Object: want}},
		Presumes: []Presumption{{Condition: Unchanged, Path: SettingsKey().String(), Revision: 12},
			{Condition: NothingNewUnder, Path: "/sluice/v1/live/hosts/", Revision: s.Revision()}},
	})
	s.Apply(Batch{Revision: 13, Events: []Event{{Key: SettingsKey(), Object: want, Created: 2, Modified: 13}}})
	if !s.FailOver() {
		t.Error("they do not")
	}
	p, err = FailOverSpec{On: true}.Propose(s)
	proposed(t, "on again", p, err, Proposal{})
	if p, err = (FailOverSpec{}).Propose(s); err != nil || len(p.Writes) != 1 || p.Writes[0].Object.(*Settings).FailOver {
		t.Errorf("off: %+v, %v", p, err)
	}
	if settings, _ := s.Settings(); settings.ProbeEvery() != DefaultProbeInterval {
		t.Errorf("probes go every %s", settings.ProbeEvery())
	}
	p, err = FailOverSpec{On: true, Interval: 300 * time.Millisecond}.Propose(s)
	if err != nil || len(p.Writes) != 1 || p.Writes[0].Object.(*Settings).ProbeEvery() != 300*time.Millisecond {
		t.Errorf("slower: %+v, %v", p, err)
	}
	for _, wrong := range []time.Duration{time.Millisecond, time.Minute, -time.Second} {
		if p, err = (FailOverSpec{On: true, Interval: wrong}).Propose(s); !errors.Is(err, ErrInvalid) || len(p.Writes) > 0 {
			t.Errorf("every %s: %+v, %v", wrong, p, err)
		}
	}
}

// Who says on or off says so for good, also of a store that began with it. Nobody may while an agent is live that answers no probes.
func TestFailOverByDefault(t *testing.T) {
	for _, on := range []bool{true, false} {
		s := NewState()
		s.Apply(Batch{Revision: 12, Events: []Event{{Key: SettingsKey(), Object: FirstSettings(), Created: 2, Modified: 12}}})
		if settings, _ := s.Settings(); !s.FailOver() || !settings.FailOverByDefault {
			t.Fatalf("a store begins with %+v", settings)
		}
		p, err := FailOverSpec{On: on}.Propose(s)
		if err != nil || len(p.Writes) != 1 {
			t.Fatalf("on %t: %+v, %v", on, p, err)
		}
		if got := *p.Writes[0].Object.(*Settings); !reflect.DeepEqual(got, Settings{FailOver: on}) {
			t.Errorf("on %t: it writes %+v", on, got)
		}
		s.Apply(Batch{Revision: 13, Events: []Event{{Key: LiveHostKey("h1"), Object: &LiveHost{Program: Program{Version: "v1"}}}}})
		p, err = FailOverSpec{On: on}.Propose(s)
		if errors.Is(err, ErrConflict) != on || on && !strings.Contains(err.Error(), "hosts/h1 (v1, schema 1)") || on && len(p.Writes) > 0 {
			t.Errorf("on %t beside an older agent: %+v, %v", on, p, err)
		}
		if needs := (FailOverSpec{On: on}).Needs(); slices.Contains(needs, Under(KindLiveHost)) != on || !slices.Contains(needs, SettingsKey().String()) {
			t.Errorf("on %t: it needs %v", on, needs)
		}
	}
}

func TestNotProbed(t *testing.T) {
	s := NewState()
	s.Apply(Batch{Revision: 2, Events: []Event{
		{Key: HostKey("h3"), Object: &Host{Gateway: true}}, {Key: HostKey("h1"), Object: &Host{Gateway: true}}, {Key: HostKey("plain"), Object: &Host{}},
		{Key: HostKey("h2"), Object: &Host{Gateway: true, ProbeOutside: netip.MustParseAddr("192.0.2.254")}},
	}})
	if got := s.NotProbed(); !slices.Equal(got, []string{"h1", "h3"}) {
		t.Errorf("not probed are %v", got)
	}
}

// A gateway without a backup is a problem where somebody asked for backups, or where there are hosts for them. Where there are none it is
// said once.
func TestMindsBackups(t *testing.T) {
	for _, tt := range []struct {
		settings       *Settings
		hosts, drained int
		minds, says    bool
	}{
		{&Settings{}, 1, 0, false, false},
		{&Settings{}, 2, 0, false, false},
		{&Settings{FailOver: true}, 1, 0, true, true},
		{&Settings{FailOver: true}, 2, 0, true, false},
		{&Settings{FailOver: true}, 2, 1, true, true},
		{FirstSettings(), 0, 0, false, true},
		{FirstSettings(), 1, 0, false, true},
		{FirstSettings(), 2, 0, true, false},
		{FirstSettings(), 2, 1, false, true},
		{FirstSettings(), 3, 1, true, false},
	} {
		s := NewState()
		events := []Event{{Key: SettingsKey(), Object: tt.settings}, {Key: HostKey("none"), Object: &Host{}}}
		for n := range tt.hosts {
			events = append(events, Event{Key: HostKey(fmt.Sprint("h", n)), Object: &Host{Gateway: true}})
		}
		for n := range tt.drained {
			events = append(events, Event{Key: DrainKey(fmt.Sprint("h", n)), Object: &Drain{}})
		}
		s.Apply(Batch{Revision: 2, Events: events})
		if minds, says := s.MindsBackups(), s.LacksGatewayHosts(); minds != tt.minds || (says != "") != tt.says {
			t.Errorf("%+v with %d gateway hosts, %d of them drained: minds %t, says %q", tt.settings, tt.hosts, tt.drained, minds, says)
		} else if says != "" && strings.Contains(says, "undrain") != (tt.drained > 0) {
			t.Errorf("with %d drained hosts it says %q", tt.drained, says)
		}
	}
}

// What a host's backups are counted by follows gateways that come, change and go.
func TestBackupVia(t *testing.T) {
	s := NewState()
	put := func(r Revision, tenant string, g *Gateway) {
		e := Event{Key: GatewayKey(tenant), Created: r, Modified: r}
		if g != nil {
			e.Object = g
		}
		s.Apply(Batch{Revision: r, Events: []Event{e}})
	}
	put(1, "a", &Gateway{Active: "h1", Backup: "h2"})
	put(2, "b", &Gateway{Active: "h1", Backup: "h2"})
	put(3, "b", &Gateway{Active: "h1", Backup: "h3"})
	if h2, h3 := s.BackupVia("h2"), s.BackupVia("h3"); h2 != 1 || h3 != 1 {
		t.Errorf("h2 backs %d up, h3 %d", h2, h3)
	}
	if diff := cmp.Diff([]string{"a"}, s.TenantsVia("h2")); diff != "" {
		t.Errorf("via h2 (-want +got):\n%s", diff)
	}
	put(4, "a", nil)
	if h2 := s.BackupVia("h2"); h2 != 0 || len(s.gateways.backupVia) != 1 {
		t.Errorf("h2 backs %d up: %v", h2, s.gateways.backupVia)
	}
}

func TestMovers(t *testing.T) {
	g := &Gateway{Active: "h1", Backup: "h5", Move: &Move{To: "h2"}, Draining: []string{"h3"}, Standby: []string{"h4", "h1"}}
	if diff := cmp.Diff([]string{"h1", "h2", "h4", "h3"}, g.Movers()); diff != "" {
		t.Errorf("movers (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"h1", "h2", "h4", "h3", "h5"}, g.Members()); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	if g.Leave("h4"); g.Backup != "h5" {
		t.Errorf("the backup is %q", g.Backup)
	}
	if g.Leave("h5"); g.Backup != "" {
		t.Errorf("the backup is still %s", g.Backup)
	}
}

func TestProbeInterface(t *testing.T) {
	name := ProbeInterface("h1")
	if hash, ok := ProbedHash(name); !ok || hash != HostHash("h1") || len(name) > 15 {
		t.Errorf("%s: %x, %t", name, hash, ok)
	}
	for _, other := range []string{"", "sluice-tun", "sluice-gw", "sluice-dns", "sluice-1", "sluice-0000000g", "sluice-000000001", "sluice-ABCDEF01", "sl-0123456789ab", "903b3592"} {
		if _, ok := ProbedHash(other); ok {
			t.Errorf("%q is taken for a probe", other)
		}
	}
}
