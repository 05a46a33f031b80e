package store

import (
	"fmt"
	"time"
)

// Balance says whether and how the leader moves gateways so that gateway hosts carry alike. Of what is 0 the default counts.
type Balance struct {
	Auto     bool `json:"auto,omitempty"`     // the leader does it by itself
	Window   int  `json:"window,omitempty"`   // seconds over which what tenants send and get is averaged
	CoolDown int  `json:"coolDown,omitempty"` // seconds that a gateway stays after a move
	PerHour  int  `json:"perHour,omitempty"`  // moves an hour at most
	AtOnce   int  `json:"atOnce,omitempty"`   // moves at one time
}

// Defaults and bounds of Balance.
const (
	DefaultBalanceWindow   = 5 * time.Minute
	DefaultBalanceCoolDown = time.Hour
	DefaultBalancePerHour  = 60
	DefaultBalanceAtOnce   = 4

	// BalanceDrainTimeout is how long connections may go on through the host before: nobody asked for their end.
	BalanceDrainTimeout = 24 * time.Hour

	MinBalanceWindow   = 10 * time.Second
	MaxBalanceWindow   = time.Hour
	MaxBalanceCoolDown = 7 * 24 * time.Hour
	MaxBalancePerHour  = 10000
)

// WithDefaults is the same with all numbers said.
func (b Balance) WithDefaults() Balance {
	for n, otherwise := range map[*int]int{
		&b.Window: int(DefaultBalanceWindow / time.Second), &b.CoolDown: int(DefaultBalanceCoolDown / time.Second),
		&b.PerHour: DefaultBalancePerHour, &b.AtOnce: DefaultBalanceAtOnce,
	} {
		if *n == 0 {
			*n = otherwise
		}
	}
	return b
}

// WindowTime and CoolDownTime are the times of one with defaults.
func (b Balance) WindowTime() time.Duration { return time.Duration(b.Window) * time.Second }

// CoolDownTime is how long a gateway stays after a move.
func (b Balance) CoolDownTime() time.Duration { return time.Duration(b.CoolDown) * time.Second }

// Balance is how gateways are balanced, with all numbers said.
func (s *State) Balance() Balance {
	settings, _ := s.Settings()
	return settings.Balance.WithDefaults()
}

// BalanceSpec changes how gateways are balanced. What is nil stays.
type BalanceSpec struct {
	Auto     *bool
	Window   *int
	CoolDown *int
	PerHour  *int
	AtOnce   *int
}

// Needs are the paths that Propose looks at.
func (s BalanceSpec) Needs() []string { return []string{SettingsKey().String()} }

// Validate refuses what no state would allow.
func (s BalanceSpec) Validate() error {
	for _, n := range []struct {
		what        string
		said        *int
		least, most int
	}{
		{"seconds of the average", s.Window, int(MinBalanceWindow / time.Second), int(MaxBalanceWindow / time.Second)},
		{"seconds that a gateway stays after a move", s.CoolDown, 1, int(MaxBalanceCoolDown / time.Second)},
		{"moves an hour", s.PerHour, 1, MaxBalancePerHour},
		{"moves at one time", s.AtOnce, 1, MaxAtOnce},
	} {
		if n.said != nil && (*n.said < n.least || *n.said > n.most) {
			return fmt.Errorf("balance: %w: %d %s: give %d to %d", ErrInvalid, *n.said, n.what, n.least, n.most)
		}
	}
	return nil
}

// Propose writes it; nothing, where it is so already.
func (s BalanceSpec) Propose(state *State) (Proposal, error) {
	if err := s.Validate(); err != nil {
		return Proposal{}, err
	}
	settings, _ := state.Settings()
	before := settings.Balance
	if s.Auto != nil {
		settings.Balance.Auto = *s.Auto
	}
	for said, is := range map[*int]*int{s.Window: &settings.Balance.Window, s.CoolDown: &settings.Balance.CoolDown,
		s.PerHour: &settings.Balance.PerHour, s.AtOnce: &settings.Balance.AtOnce} {
		if said != nil {
			*is = *said
		}
	}
	if settings.Balance == before {
		return Proposal{}, nil
	}
	return Proposal{
		Writes:   []Event{{Key: SettingsKey(), Object: &settings}},
		Presumes: []Presumption{state.settingsUnchanged()},
	}, nil
}
