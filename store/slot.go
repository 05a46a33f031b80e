package store

import (
	"maps"
	"slices"
)

// slotAt is a slot of a host.
type slotAt struct {
	host string
	slot uint32
}

// indexSlots keeps who was given which slot: the oldest gateway that says so. Only the leader gives slots, and another one where two
// tenants were given one. A gateway that gains or loses a slot by that is a change.
func indexSlots(a *application, g *Item[Gateway], add bool) {
	for _, host := range slices.Sorted(maps.Keys(g.Value.Slots)) {
		at, other := slotAt{host, g.Value.Slots[host]}, (*Item[Gateway])(nil)
		if add {
			other = a.gateways.slots.claim(at, g)
		} else {
			other = a.gateways.slots.release(at, g)
		}
		if other != nil {
			a.changes = append(a.changes, Change{Key: other.Key, Before: other.Value, After: other.Value})
		}
	}
}

// Slot is what a gateway host tells a tenant's connections by: its conntrack zones, its transit address and its meters there follow
// from it. It is the one that the tenant's gateway was given for the host, or else the tenant's number, where no other tenant was given
// that; 0: it has none, or the host is no gateway host of it. Two tenants never have one slot of a host.
func (s *State) Slot(host string, t *Item[Tenant]) uint32 {
	g := s.gateways.items[t.Key.Tenant]
	if g == nil || !g.Value.At(host) {
		return 0
	}
	if slot, given := g.Value.Slots[host]; given {
		if slot < 1 || slot > MaxSlot || s.gateways.slots.of[slotAt{host, slot}] != g {
			return 0
		}
		return slot
	}
	if n := t.Value.Number; n <= MaxSlot && s.gateways.slots.of[slotAt{host, n}] == nil && s.TenantByNumber(n) == t {
		return n
	}
	return 0
}

// TenantBySlot is the tenant that has a slot of a host, or nil.
func (s *State) TenantBySlot(host string, slot uint32) *Item[Tenant] {
	t := s.TenantByNumber(slot)
	if g := s.gateways.slots.of[slotAt{host, slot}]; g != nil {
		t = s.Tenant(g.Key.Tenant)
	}
	if t == nil || s.Slot(host, t) != slot {
		return nil
	}
	return t
}

// SlotTaken says which tenant's gateway was given a slot of a host; empty: none was.
func (s *State) SlotTaken(host string, slot uint32) (tenant string) {
	if g := s.gateways.slots.of[slotAt{host, slot}]; g != nil {
		return g.Key.Tenant
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
