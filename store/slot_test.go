package store

import (
	"maps"
	"testing"
)

// slotState is the state of some tenants, by their numbers, and of the gateways that some have.
func slotState(numbers map[string]uint32, gateways map[string]*Gateway) *State {
	s, b := NewState(), Batch{}
	put := func(k Key, o Object) {
		b.Revision++
		b.Events = append(b.Events, Event{Key: k, Object: o, Created: b.Revision, Modified: b.Revision})
	}
	for _, name := range []string{"a", "b", "c"} { // the oldest first
		if n, there := numbers[name]; there {
			put(TenantKey(name), &Tenant{Number: n})
		}
		if g := gateways[name]; g != nil {
			put(GatewayKey(name), g)
		}
	}
	s.Apply(b)
	return s
}

// A host tells tenants by their numbers, as before there were slots, but where it was told otherwise; and never two of
// them alike.
func TestSlot(t *testing.T) {
	at := func(slots map[string]uint32) *Gateway { return &Gateway{Active: "h1", Backup: "h2", Slots: slots} }
	for _, c := range []struct {
		about    string
		numbers  map[string]uint32
		gateways map[string]*Gateway
		want     map[string]uint32 // on h1
	}{
		{"the numbers", map[string]uint32{"a": 1, "b": MaxSlot}, map[string]*Gateway{"a": at(nil), "b": at(nil)}, map[string]uint32{"a": 1, "b": MaxSlot}},
		{"no gateway, or elsewhere", map[string]uint32{"a": 1, "b": 2}, map[string]*Gateway{"b": {Active: "h2", Slots: map[string]uint32{"h1": 5}}}, map[string]uint32{}},
		{"a number that is none", map[string]uint32{"a": MaxSlot + 1, "b": 0}, map[string]*Gateway{"a": at(nil), "b": at(nil)}, map[string]uint32{}},
		{"slots of their own", map[string]uint32{"a": MaxSlot + 1, "b": 2}, map[string]*Gateway{"a": at(map[string]uint32{"h1": 7}), "b": at(map[string]uint32{"h1": 8})},
			map[string]uint32{"a": 7, "b": 8}},
		{"a slot of another host", map[string]uint32{"a": MaxSlot + 1}, map[string]*Gateway{"a": at(map[string]uint32{"h2": 7})}, map[string]uint32{}},
		{"another's number was given", map[string]uint32{"a": 70000, "b": 2}, map[string]*Gateway{"a": at(map[string]uint32{"h1": 2}), "b": at(nil)}, map[string]uint32{"a": 2}},
		{"another's number was given elsewhere", map[string]uint32{"a": 70000, "b": 2}, map[string]*Gateway{"a": at(map[string]uint32{"h2": 2}), "b": at(nil)}, map[string]uint32{"b": 2}},
		{"one slot given twice", map[string]uint32{"a": 70000, "b": 70001}, map[string]*Gateway{"a": at(map[string]uint32{"h1": 2}), "b": at(map[string]uint32{"h1": 2})},
			map[string]uint32{"a": 2}},
		{"slots that are none", map[string]uint32{"a": 1, "b": 2}, map[string]*Gateway{"a": at(map[string]uint32{"h1": 0}), "b": at(map[string]uint32{"h1": MaxSlot + 1})},
			map[string]uint32{}},
		{"one number twice", map[string]uint32{"a": 1, "b": 1}, map[string]*Gateway{"a": at(nil), "b": at(nil)}, map[string]uint32{"a": 1}},
	} {
		s := slotState(c.numbers, c.gateways)
		got := map[string]uint32{}
		for tenant := range s.Tenants() {
			slot := s.Slot("h1", tenant)
			if slot == 0 {
				continue
			}
			got[tenant.Key.Tenant] = slot
			if got := s.TenantBySlot("h1", slot); got == nil || got.Key != tenant.Key {
				t.Errorf("%s: slot %d is not %s's", c.about, slot, tenant.Key.Tenant)
			}
		}
		if !maps.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.about, got, c.want)
		}
	}
}

// A slot passes on to who else was given it, and that is told.
func TestSlotPassesOn(t *testing.T) {
	given := map[string]uint32{"h1": 5}
	s := slotState(map[string]uint32{"a": 70000, "b": 70001}, map[string]*Gateway{"a": {Active: "h1", Slots: given}, "b": {Active: "h1", Slots: given}})
	if s.SlotTaken("h1", 5) != "a" || s.SlotTaken("h1", 6) != "" || s.TenantBySlot("h1", 6) != nil {
		t.Errorf("slot 5 is %q's", s.SlotTaken("h1", 5))
	}
	told := false
	for _, c := range s.Apply(Batch{Revision: 9, Events: []Event{{Key: GatewayKey("a")}}}) {
		told = told || c.Key == GatewayKey("b")
	}
	if s.Slot("h1", s.Tenant("b")) != 5 || !told {
		t.Errorf("it passes on: %d, told %v", s.Slot("h1", s.Tenant("b")), told)
	}
}

// What is written keeps the slots of its gateway hosts, drops others, and leaves what it was made of alone.
func TestWithSlots(t *testing.T) {
	was := Gateway{Active: "h1", Backup: "h2", Slots: map[string]uint32{"h1": 1, "h2": 2, "h3": 3}}
	if got := was.WithSlots(map[string]uint32{"h2": 9}).Slots; !maps.Equal(got, map[string]uint32{"h1": 1, "h2": 9}) {
		t.Errorf("slots %v", got)
	}
	if len(was.Slots) != 3 || was.Slots["h2"] != 2 {
		t.Errorf("the gateway before was changed: %v", was.Slots)
	}
	if got := (Gateway{Active: "h9"}).WithSlots(nil).Slots; got != nil {
		t.Errorf("none were given: %v", got)
	}
	if got := (Gateway{Active: "h9"}).WithSlots(map[string]uint32{"h9": 4}).Slots; got["h9"] != 4 {
		t.Errorf("the first: %v", got)
	}
}
