package store

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestBalanceSettings(t *testing.T) {
	s := settings(NewState(), "172.20.0.0/16")
	defaults := Balance{Window: 300, CoolDown: 3600, PerHour: 60, AtOnce: 4}
	if diff := cmp.Diff(defaults, s.Balance()); diff != "" {
		t.Errorf("unasked (-want +got):\n%s", diff)
	}
	on, ten := true, 10
	p, err := BalanceSpec{Auto: &on, PerHour: &ten}.Propose(s)
	want := &Settings{Transit: s.Transit().Prefix, Balance: Balance{Auto: true, PerHour: 10}}
	proposed(t, "on", p, err, Proposal{
		Writes:   []Event{{Key: SettingsKey(), Object: want}},
		Presumes: []Presumption{{Condition: Unchanged, Path: SettingsKey().String(), Revision: 12}},
	})
	s.Apply(Batch{Revision: 13, Events: []Event{{Key: SettingsKey(), Object: want, Created: 2, Modified: 13}}})
	p, err = BalanceSpec{Auto: &on}.Propose(s)
	proposed(t, "on again", p, err, Proposal{})
	defaults.Auto, defaults.PerHour = true, 10
	if diff := cmp.Diff(defaults, s.Balance()); diff != "" {
		t.Errorf("with a budget (-want +got):\n%s", diff)
	}
	if b := s.Balance(); b.WindowTime() != 5*time.Minute || b.CoolDownTime() != time.Hour {
		t.Errorf("the times are %v, %v", b.WindowTime(), b.CoolDownTime())
	}
}

func TestBalanceRefusesNumbers(t *testing.T) {
	for _, n := range []int{-1, 0, 1 << 30} {
		for what, spec := range map[string]BalanceSpec{"window": {Window: &n}, "cool-down": {CoolDown: &n}, "budget": {PerHour: &n}, "at once": {AtOnce: &n}} {
			if p, err := spec.Propose(NewState()); !errors.Is(err, ErrInvalid) || len(p.Writes) > 0 {
				t.Errorf("%s of %d: %+v, %v", what, n, p, err)
			}
		}
	}
}

// Of a move that balances, the gateway says so.
func TestMoveThatBalances(t *testing.T) {
	for balance, why := range map[string]string{"": "moved by hand", "h1 is hot": "balanced: h1 is hot"} {
		p, err := MoveSpec{Tenant: "alice", Host: "h2", Balance: balance, Now: time.Unix(9, 0)}.Propose(gatewayState())
		if err != nil || len(p.Writes) != 1 {
			t.Fatalf("%+v, %v", p, err)
		}
		if m := p.Writes[0].Object.(*Gateway).Move; m.Why != why || m.Balanced != (balance != "") {
			t.Errorf("the move is %+v", m)
		}
	}
}
