package store

import (
	"fmt"
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
func (s FailOverSpec) Needs() []string { return []string{SettingsKey().String()} }

// Propose writes it; nothing, where it is so already.
func (s FailOverSpec) Propose(state *State) (Proposal, error) {
	if err := s.Validate(); err != nil {
		return Proposal{}, err
	}
	settings, _ := state.Settings()
	interval := settings.ProbeInterval
	if s.Interval != 0 {
		interval = int(s.Interval / time.Millisecond)
	}
	if settings.FailOver == s.On && settings.ProbeInterval == interval {
		return Proposal{}, nil
	}
	settings.FailOver, settings.ProbeInterval = s.On, interval
	return Proposal{
		Writes:   []Event{{Key: SettingsKey(), Object: &settings}},
		Presumes: []Presumption{state.settingsUnchanged()},
	}, nil
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
