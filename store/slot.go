package store

import (
	"maps"
	"slices"
)

// slotHolders are the tenants whose gateways were given slots of one host.
type slotHolders = holders[uint32, string]

// indexSlots keeps who was given which slot: the oldest gateway that says so. Only the leader gives slots, and another one where two
// tenants were given one. A gateway that gains or loses a slot by that is a change.
func indexSlots(a *application, g *Item[Gateway], add bool) {
	older := func(one, two string) bool { return a.Gateway(one).Older(a.Gateway(two)) }
	for _, host := range slices.Sorted(maps.Keys(g.Value.Slots)) {
		h, slot, other, passed := a.gateways.slotsOf(host), g.Value.Slots[host], "", false
		if add {
			other, passed = h.claim(slot, g.Key.Tenant, older)
		} else {
			other, passed = h.release(slot, g.Key.Tenant, older)
		}
		if len(h.of) == 0 {
			delete(a.gateways.slots, host)
		}
		if passed {
			g := a.Gateway(other)
			a.changes = append(a.changes, Change{Key: g.Key, Before: g.Value, After: g.Value})
		}
	}
}

// slotsOf are the slots of a host, for a change.
func (gs *gateways) slotsOf(host string) *slotHolders {
	h := gs.slots[host]
	if h == nil {
		h = &slotHolders{}
		if gs.slots == nil {
			gs.slots = map[string]*slotHolders{}
		}
		gs.slots[host] = h
	}
	return h
}

// Slot is what a gateway host tells a tenant's connections by: its conntrack zones, its transit address and its meters there follow
// from it. It is the one that the tenant's gateway was given for the host, or else the tenant's number, where no other tenant was given
// that; 0: it has none, or the host is no gateway host of it. Two tenants never have one slot of a host.
func (s *State) Slot(host string, t *Item[Tenant]) uint32 {
	name := t.Key.Tenant
	g := s.Gateway(name)
	if g == nil || !g.Value.At(host) {
		return 0
	}
	if slot, given := g.Value.Slots[host]; given {
		if slot < 1 || slot > MaxSlot || s.SlotTaken(host, slot) != name {
			return 0
		}
		return slot
	}
	if n := t.Value.Number; n <= MaxSlot && s.SlotTaken(host, n) == "" && s.TenantName(n) == name {
		return n
	}
	return 0
}

// TenantBySlot is the tenant that has a slot of a host, or nil.
func (s *State) TenantBySlot(host string, slot uint32) *Item[Tenant] {
	name := s.SlotTaken(host, slot)
	if name == "" {
		name = s.TenantName(slot)
	}
	if t := s.Tenant(name); t != nil && s.Slot(host, t) == slot {
		return t
	}
	return nil
}

// SlotTaken says which tenant's gateway was given a slot of a host; empty: none was.
func (s *State) SlotTaken(host string, slot uint32) (tenant string) {
	if h := s.gateways.slots[host]; h != nil {
		return h.of[slot]
	}
	return ""
}

// WithSlots is the gateway with the slots of its members alone, and with some others. It shares nothing that it changes.
func (g Gateway) WithSlots(others map[string]uint32) Gateway {
	slots := maps.Clone(g.Slots)
	maps.DeleteFunc(slots, func(host string, _ uint32) bool { return !g.At(host) })
	if slots == nil && len(others) > 0 {
		slots = map[string]uint32{}
	}
	maps.Copy(slots, others)
	if len(slots) == 0 {
		slots = nil
	}
	g.Slots = slots
	return g
}
