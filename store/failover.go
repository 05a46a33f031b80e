package store

import (
	"fmt"
	"strings"
	"time"
)

// ProbesMissed is how many probes that do not come, one after the other, mean dead.
const ProbesMissed = 4

// How often gateway hosts are probed.
const (
	DefaultProbeInterval = 100 * time.Millisecond
	MinProbeInterval     = 50 * time.Millisecond
	MaxProbeInterval     = 2 * time.Second
)

// FailOverSpec says whether hosts probe gateway hosts, and whether each tenant's gateway has a backup.
type FailOverSpec struct {
	On       bool
	Interval time.Duration // between two probes; 0: it stays
}

// Validate refuses what no state would allow.
func (s FailOverSpec) Validate() error {
	if s.Interval != 0 && (s.Interval < MinProbeInterval || s.Interval > MaxProbeInterval) {
		return fmt.Errorf("fail-over: %w: probes every %s: give %s to %s", ErrInvalid, s.Interval, MinProbeInterval, MaxProbeInterval)
	}
	return nil
}

// Needs are the paths that Propose looks at.
func (s FailOverSpec) Needs() []string {
	needs := []string{SettingsKey().String()}
	if s.On {
		needs = append(needs, Under(KindLiveHost))
	}
	return needs
}

// probing is the least schema whose agents answer probes: where gateways fail over, an older one's host is found dead.
const probing = 2

// Propose writes it; nothing, where somebody said so already. It is refused while agents are live that answer no probes.
func (s FailOverSpec) Propose(state *State) (Proposal, error) {
	if err := s.Validate(); err != nil {
		return Proposal{}, err
	}
	settings, _ := state.Settings()
	interval := settings.ProbeInterval
	if s.Interval != 0 {
		interval = int(s.Interval / time.Millisecond)
	}
	if settings.FailOver == s.On && settings.ProbeInterval == interval && !settings.FailOverByDefault {
		return Proposal{}, nil
	}
	if older := state.olderAgents(probing); s.On && len(older) > 0 {
		return Proposal{}, fmt.Errorf("fail-over: %w: older agents are live, which answer no probes, so that their hosts would be found dead: %s: run a newer version there first",
			ErrConflict, strings.Join(older, ", "))
	}
	settings.FailOver, settings.ProbeInterval, settings.FailOverByDefault = s.On, interval, false
	p := Proposal{
		Writes:   []Event{{Key: SettingsKey(), Object: &settings}},
		Presumes: []Presumption{state.settingsUnchanged()},
	}
	if s.On { // an older one may come just now
		p.Presumes = append(p.Presumes, Presumption{Condition: NothingNewUnder, Path: Under(KindLiveHost), Revision: state.Revision()})
	}
	return p, nil
}

// FirstSettings are those of a store that begins with this version: gateways fail over, since no agent of before is there that
// answers no probes.
func FirstSettings() *Settings { return &Settings{FailOver: true, FailOverByDefault: true} }

// LacksGatewayHosts says that gateways are to fail over and have nowhere to go, since no more than one host may be a gateway host; empty: they
// have, or do not fail over.
func (s *State) LacksGatewayHosts() string {
	if !s.FailOver() || s.severalGatewayHosts() {
		return ""
	}
	note := "fail-over is on, and there are not two gateway hosts: no gateway has a backup until an agent runs with --gateway on another host"
	if len(s.drains.items) > 0 {
		note += ", or one that is drained is a gateway host again: sluice gateway undrain HOST"
	}
	return note
}

// NotProbed are the gateway hosts of which nobody looks whether their uplink leads anywhere, sorted.
func (s *State) NotProbed() (hosts []string) {
	for h := range s.Hosts() {
		if h.Value.Gateway && !h.Value.ProbeOutside.IsValid() {
			hosts = append(hosts, h.Key.Host)
		}
	}
	return hosts
}

// severalGatewayHosts reports whether more than one host may be a gateway host, as soon as it is ready. One that is drained may not.
func (s *State) severalGatewayHosts() bool {
	hosts := 0
	for _, h := range s.hosts.items {
		if h.Value.Gateway && s.Drain(h.Key.Host) == nil {
			hosts++
		}
	}
	return hosts > 1
}

// MindsBackups reports whether a gateway without a backup is a problem: somebody asked for backups, or there are hosts for them.
func (s *State) MindsBackups() bool {
	settings, _ := s.Settings()
	return settings.FailOver && (!settings.FailOverByDefault || s.severalGatewayHosts())
}

// FailOver reports whether each tenant's gateway is to have a backup.
func (s *State) FailOver() bool {
	settings, _ := s.Settings()
	return settings.FailOver
}

// ProbeEvery is between two probes of a gateway host.
func (s *Settings) ProbeEvery() time.Duration {
	if s.ProbeInterval <= 0 {
		return DefaultProbeInterval
	}
	return time.Duration(s.ProbeInterval) * time.Millisecond
}
