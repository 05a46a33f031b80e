package lead

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"sluice/store"
)

// This file gives tenants slots of their gateway hosts, where their number is none or another tenant has that. A tenant has one from
// the time that it has a container somewhere, and where there is much room from the time that it has a gateway, for as long as the host is a
// gateway host of it; while it sleeps one that lacks a slot may take it.

// spot is a slot of a host.
type spot struct {
	host string
	slot uint32
}

// slots are what was given and the picture may not show yet.
type slots struct {
	given map[spot]string // to which tenant
	at    store.Revision  // of the last write
}

// lacksSlot reports whether a tenant that is awake has no slot of one of its gateway hosts.
func lacksSlot(s *store.State, t *store.Item[store.Tenant]) bool {
	if !s.Awake(t.Key.Tenant) {
		return false
	}
	g := s.Gateway(t.Key.Tenant)
	if g == nil {
		return false
	}
	for _, host := range g.Value.Members() {
		if s.Slot(host, t) == 0 {
			return true
		}
	}
	return false
}

// noteSlots notes a tenant that woke up and lacks a slot, and where one may have been given back those that wait for one. It reports
// whether there are any. The caller has locked l.mu.
func (l *Leader) noteSlots(s *store.State, c store.Change) (placing bool) {
	switch c.Key.Kind {
	case store.KindPresence:
		if t := s.Tenant(c.Key.Tenant); c.After != nil && t != nil && lacksSlot(s, t) {
			l.doubts.note(c.Key.Tenant)
			return true
		}
	case store.KindGateway:
		placing = l.noteLent(s, c)
	default:
		return false
	}
	again := 0
	for tenant := range l.slotless {
		l.doubts.note(tenant)
		if again++; again == store.MaxAtOnce {
			break
		}
	}
	return placing || again > 0
}

// noteLent notes the tenants that woke up while their numbers were being given to another one as slots. It reports whether there are any. The
// caller has locked l.mu.
func (l *Leader) noteLent(s *store.State, c store.Change) (noted bool) {
	g, ok := c.After.(*store.Gateway)
	if !ok {
		return false
	}
	for _, slot := range g.Slots {
		name := s.TenantName(slot)
		if name == "" || name == c.Key.Tenant || !s.Awake(name) {
			continue
		}
		if t := s.Tenant(name); t != nil && lacksSlot(s, t) {
			l.doubts.note(name)
			noted = true
		}
	}
	return noted
}

// complete gives slots to the tenants in doubt, in what is to be written of their gateways or beside it. It tells of those for
// which there is none.
func (g *slots) complete(s *store.State, d doubts, p *plan) {
	g.seen(s)
	written := map[string]bool{}
	var all []placement
	give := func(t *store.Item[store.Tenant], at placement) {
		with, taken, full := g.give(s, t, at.gateway)
		if full != "" {
			p.problems[at.tenant] = store.ProblemOf(t.Key, "%s", full)
			p.slotless = append(p.slotless, at.tenant)
		}
		at.gateway = with
		all = append(append(all, taken...), at)
	}
	for _, at := range p.placements {
		written[at.tenant] = true
		if t := s.Tenant(at.tenant); t != nil {
			give(t, at)
		}
	}
	for t := range d.of(s) {
		if name := t.Key.Tenant; !written[name] && lacksSlot(s, t) {
			current := s.Gateway(name)
			give(t, placement{tenant: name, gateway: *current.Value, modified: current.Modified})
		}
	}
	p.placements = all
}

// give completes a gateway that is about to be written with the slots that its tenant lacks. A slot of a tenant that sleeps is taken from
// it first: taken are those tenants' gateways. full says of which hosts no slot is left; empty: there is one on each.
func (g *slots) give(s *store.State, t *store.Item[store.Tenant], gateway store.Gateway) (with store.Gateway, taken []placement, full string) {
	name := t.Key.Tenant
	if !s.Awake(name) && !roomy(s, &gateway) {
		return gateway, nil, ""
	}
	more := map[string]uint32{}
	var lack []string
	for _, host := range gateway.Members() {
		if g.has(s, host, t, gateway) {
			continue
		}
		slot := g.choose(s, host, t)
		if slot == 0 {
			lack = append(lack, host)
			continue
		}
		if sleeper := s.SlotTaken(host, slot); sleeper != "" && sleeper != name {
			taken = append(taken, without(s.Gateway(sleeper), host))
		}
		more[host] = slot
		g.note(spot{host, slot}, name)
	}
	if len(lack) > 0 {
		full = fmt.Sprintf("all %d conntrack zones for tenants of gateway host %s are taken by others that have containers: move some of them "+
			"(sluice gateway move), or start an agent with --gateway on another host", store.MaxSlot, strings.Join(lack, ", "))
	}
	return gateway.WithSlots(more), taken, full
}

// roomy reports whether few tenants leave by the hosts of a gateway, so that one that sleeps may have slots there before it needs any: its
// way out is there with its first container then.
func roomy(s *store.State, g *store.Gateway) bool {
	return !slices.ContainsFunc(g.Members(), func(host string) bool { return s.ActiveVia(host) >= store.MaxSlot/4 })
}

// has reports whether a tenant will have a slot of a host by a gateway that is about to be written.
func (g *slots) has(s *store.State, host string, t *store.Item[store.Tenant], gateway store.Gateway) bool {
	if s.Slot(host, t) != 0 {
		return true
	}
	if slot, given := gateway.Slots[host]; given {
		return s.SlotTaken(host, slot) == t.Key.Tenant || g.given[spot{host, slot}] == t.Key.Tenant
	}
	own := spot{host, t.Value.Number} // by which the host knows it once it is a gateway host of it
	if own.slot > store.MaxSlot || s.TenantName(own.slot) != t.Key.Tenant || !g.free(s, own, t) {
		return false
	}
	g.note(own, t.Key.Tenant)
	return true
}

// choose is a slot of a host that no other tenant has, or one that a tenant has which sleeps; 0: there is none. It begins
// anywhere, so that one which was given back stands for nobody for a while.
func (g *slots) choose(s *store.State, host string, t *store.Item[store.Tenant]) uint32 {
	hash := fnv.New32a()
	fmt.Fprint(hash, t.Key.Tenant, t.Created, host)
	start := hash.Sum32()
	asleep := uint32(0)
	for n := range uint32(store.MaxSlot) {
		at := spot{host, 1 + (start+n)%store.MaxSlot}
		if g.free(s, at, t) {
			return at.slot
		}
		if asleep == 0 && g.sleeps(s, at) {
			asleep = at.slot
		}
	}
	return asleep
}

// free reports whether no tenant but one has a slot, nor will have it.
func (g *slots) free(s *store.State, at spot, but *store.Item[store.Tenant]) bool {
	has, given := s.TenantBySlot(at.host, at.slot), g.given[at]
	return (has == nil || has == but) && (given == "" || given == but.Key.Tenant) && (s.SlotTaken(at.host, at.slot) == "" || has == but)
}

// sleeps reports whether the tenant that has a slot sleeps.
func (g *slots) sleeps(s *store.State, at spot) bool {
	has := s.TenantBySlot(at.host, at.slot)
	return has != nil && !s.Awake(has.Key.Tenant) && g.given[at] == ""
}

// note remembers what was given until the picture shows it.
func (g *slots) note(at spot, tenant string) {
	if g.given == nil {
		g.given = map[spot]string{}
	}
	g.given[at] = tenant
}

// wrote notes the revision of a write; seen forgets what the picture shows.
func (g *slots) wrote(at store.Revision) { g.at = max(g.at, at) }

func (g *slots) seen(s *store.State) {
	if s.Revision() >= g.at {
		clear(g.given)
	}
}

// without is a gateway without its slot of a host.
func without(current *store.Item[store.Gateway], host string) placement {
	gateway := current.Value.WithSlots(nil)
	delete(gateway.Slots, host) // WithSlots cloned them
	return placement{tenant: current.Key.Tenant, gateway: gateway, modified: current.Modified}
}
