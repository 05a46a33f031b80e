package lead

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"sluice/store"
)

// town is a state of gateway hosts h1 and h2, and of tenants, each with a network.
type town struct {
	*testing.T
	s *store.State
}

func newTown(t *testing.T) *town {
	w := &town{t, store.NewState()}
	for n, h := range []string{"h1", "h2"} {
		w.put(store.HostKey(h), &store.Host{DatapathID: store.DatapathID(n + 1), Gateway: true})
		w.put(store.LiveHostKey(h), &store.LiveHost{})
	}
	return w
}

func (w *town) put(k store.Key, o store.Object) []store.Change {
	rev := w.s.Revision() + 1
	e := store.Event{Key: k, Object: o, Created: rev, Modified: rev}
	return w.s.Apply(store.Batch{Revision: rev, Events: []store.Event{e}})
}

// tenant is one that leaves by h1.
func (w *town) tenant(name string, number uint32, slots map[string]uint32) {
	w.put(store.TenantKey(name), &store.Tenant{Number: number})
	w.put(store.NetworkKey(name, "default"), &store.Network{Number: number, Segment: number})
	w.put(store.GatewayKey(name), &store.Gateway{Active: "h1", Epoch: 1, Slots: slots})
}

// wake gives a tenant a port.
func (w *town) wake(name string) []store.Change {
	number := w.s.Tenant(name).Value.Number
	return w.put(store.PortKey("h2", name, "default", "p"), &store.Port{Number: number, MAC: store.MACFromUint64(2<<40 + uint64(number)), Interface: "sl-" + name})
}

// looked has the leader look at all tenants once, and writes what it would.
func (w *town) looked(g *slots) plan {
	d := doubts{all: true}
	p := place(w.s, d, time.Time{}, nil)
	g.complete(w.s, d, &p)
	for _, at := range p.placements {
		v := at.gateway.WithSlots(nil)
		w.put(store.GatewayKey(at.tenant), &v)
	}
	return p
}

// Who has a number that is a slot has that one, where nobody else has it, and nothing is written. Others get one once
// they have a container, and keep it.
func TestSlotsAreGiven(t *testing.T) {
	w, g := newTown(t), &slots{}
	w.tenant("number", 5, nil)
	w.tenant("lent", 70000, map[string]uint32{"h1": 6})
	w.tenant("displaced", 6, nil)
	w.tenant("asleep", 70001, nil)
	w.tenant("awake", 70002, nil)
	w.tenant("twice", 70003, map[string]uint32{"h1": 6})
	w.tenant("contested", 5, nil) // a number that is an older tenant's
	for _, name := range []string{"number", "lent", "displaced", "awake", "twice", "contested"} {
		w.wake(name)
	}
	p := w.looked(g)
	written := map[string]bool{}
	for _, at := range p.placements {
		written[at.tenant] = true
	}
	if want := map[string]bool{"displaced": true, "awake": true, "twice": true, "contested": true}; !maps.Equal(written, want) {
		t.Errorf("written %v, want %v", written, want)
	}
	seen := map[uint32]string{}
	for tenant := range w.s.Tenants() {
		name, slot := tenant.Key.Tenant, w.s.Slot("h1", tenant)
		if (slot == 0) != (name == "asleep") {
			t.Errorf("%s has slot %d", name, slot)
		}
		if other, taken := seen[slot]; taken {
			t.Errorf("%s and %s have slot %d", name, other, slot)
		}
		seen[slot] = name
	}
	if seen[5] != "number" || seen[6] != "lent" {
		t.Errorf("who had a slot has another: %v", seen)
	}
	if p := w.looked(g); len(p.placements) != 0 {
		t.Errorf("the next look writes %+v", p.placements)
	}
}

// A new tenant gets its slot with its gateway, where few tenants leave by the host.
func TestSlotsBeforeTheyAreNeeded(t *testing.T) {
	w, g := newTown(t), &slots{}
	w.put(store.TenantKey("new"), &store.Tenant{Number: 70000})
	w.looked(g)
	if gateway := w.s.Gateway("new"); w.s.Slot(gateway.Value.Active, w.s.Tenant("new")) == 0 {
		t.Errorf("its gateway is %+v", gateway.Value)
	}
	for n := range uint32(2 * store.MaxSlot / 4) { // on two hosts
		name := fmt.Sprint("t", n)
		w.put(store.TenantKey(name), &store.Tenant{Number: n + 1})
		w.put(store.GatewayKey(name), &store.Gateway{Active: []string{"h1", "h2"}[n%2], Epoch: 1})
	}
	w.put(store.TenantKey("late"), &store.Tenant{Number: 70001})
	w.looked(g)
	if gateway := w.s.Gateway("late"); len(gateway.Value.Slots) != 0 {
		t.Errorf("its gateway is %+v, and it sleeps", gateway.Value)
	}
}

// A gateway that gets another host gets a slot there with it; one that leaves a host gives its slot back.
func TestSlotsComeAndGoWithHosts(t *testing.T) {
	w, g := newTown(t), &slots{}
	w.tenant("t", 70000, nil)
	w.wake("t")
	w.looked(g)
	before := w.s.Slot("h1", w.s.Tenant("t"))
	moving := *w.s.Gateway("t").Value
	moving.Move = &store.Move{To: "h2"}
	w.put(store.GatewayKey("t"), &moving) // as the API does
	w.looked(g)
	there := w.s.Slot("h2", w.s.Tenant("t"))
	if before == 0 || there == 0 || w.s.Slot("h1", w.s.Tenant("t")) != before {
		t.Fatalf("slots %d at h1, %d at h2, and %d at h1 before", w.s.Slot("h1", w.s.Tenant("t")), there, before)
	}
	arrived := *w.s.Gateway("t").Value
	arrived.Active, arrived.Move = "h2", nil
	arrived = arrived.WithSlots(nil)
	if want := map[string]uint32{"h2": there}; !maps.Equal(arrived.Slots, want) {
		t.Errorf("slots %v, want %v", arrived.Slots, want)
	}
}

// On a host where all slots are taken those of tenants that sleep are lent; where none sleeps it is a problem, until one does.
func TestSlotsOfAFullHost(t *testing.T) {
	w, g := newTown(t), &slots{}
	for n := uint32(1); n < store.MaxSlot; n++ {
		w.tenant(fmt.Sprint("t", n), n, nil)
		w.wake(fmt.Sprint("t", n))
	}
	w.tenant("sleeper", 80000, map[string]uint32{"h1": store.MaxSlot})
	w.tenant("one", 80001, nil)
	w.tenant("two", 80002, nil)
	w.wake("one")
	p := w.looked(g)
	if slot := w.s.Slot("h1", w.s.Tenant("one")); slot != store.MaxSlot || w.s.Slot("h1", w.s.Tenant("sleeper")) != 0 {
		t.Fatalf("one has slot %d, and the sleeper %d; problems %v", slot, w.s.Slot("h1", w.s.Tenant("sleeper")), p.problems)
	}
	w.wake("two")
	p = w.looked(g)
	if text := p.problems["two"].Text; !strings.Contains(text, "all 32767 conntrack zones for tenants of gateway host h1 are taken") {
		t.Errorf("a full host: %q", text)
	}
	w.put(store.PortKey("h2", "t9", "default", "p"), nil)
	if p = w.looked(g); len(p.problems) > 0 || w.s.Slot("h1", w.s.Tenant("two")) != 9 {
		t.Errorf("t9 sleeps, and two has slot %d; problems %v", w.s.Slot("h1", w.s.Tenant("two")), p.problems)
	}
	w.put(store.PortKey("h2", "t10", "default", "p"), nil)
	w.wake("t9")
	if p = w.looked(g); w.s.Slot("h1", w.s.Tenant("t9")) != 10 || w.s.Slot("h1", w.s.Tenant("two")) != 9 {
		t.Errorf("t9 woke up and has slot %d; problems %v", w.s.Slot("h1", w.s.Tenant("t9")), p.problems)
	}
}

// What was given and the picture does not show yet is given to nobody else.
func TestSlotsThatNobodySeesYet(t *testing.T) {
	w, g := newTown(t), &slots{}
	w.tenant("a", 70000, nil)
	w.wake("a")
	give := func() uint32 {
		d := doubts{all: true}
		p := plan{problems: map[string]store.Problem{}}
		g.complete(w.s, d, &p)
		return p.placements[0].gateway.Slots["h1"]
	}
	one := give()
	g.wrote(w.s.Revision() + 5)
	again := w.s.Tenant("a")
	if !g.free(w.s, spot{"h1", one}, again) || g.free(w.s, spot{"h1", one}, &store.Item[store.Tenant]{Key: store.TenantKey("b"), Value: &store.Tenant{}}) {
		t.Error("a slot that was given is anybody's, or not its tenant's")
	}
	for range 5 {
		w.put(store.DrainKey("h9"), &store.Drain{})
	}
	if g.seen(w.s); len(g.given) != 0 {
		t.Errorf("the picture shows it, and still remembered is %v", g.given)
	}
}

// The leader looks at tenants that wake up without a slot, and where one falls asleep at those that wait for one.
func TestSlotsAreLookedFor(t *testing.T) {
	w := newTown(t)
	w.tenant("number", 5, nil)
	w.tenant("lacks", 70000, nil)
	w.tenant("waits", 70001, nil)
	l := &Leader{slotless: map[string]struct{}{}}
	noted := func(changes []store.Change) map[string]struct{} {
		l.doubts = doubts{}
		for _, c := range changes {
			l.noteSlots(w.s, c)
		}
		return l.doubts.tenants
	}
	if got := noted(w.wake("number")); len(got) != 0 {
		t.Errorf("who needs no slot: %v", got)
	}
	if got := noted(w.wake("lacks")); !maps.Equal(got, map[string]struct{}{"lacks": {}}) {
		t.Errorf("who lacks one: %v", got)
	}
	w.tenant("lends", 6, nil)
	w.wake("lends")
	w.tenant("borrows", 70002, nil)
	if got := noted(w.put(store.GatewayKey("borrows"), &store.Gateway{Active: "h1", Epoch: 2, Slots: map[string]uint32{"h1": 6}})); !maps.Equal(got, map[string]struct{}{"lends": {}}) {
		t.Errorf("one woke up while its number was being given away: %v", got)
	}
	l.slotless["waits"] = struct{}{}
	if got := noted(w.put(store.PortKey("h2", "number", "default", "p"), nil)); !maps.Equal(got, map[string]struct{}{"waits": {}}) {
		t.Errorf("one fell asleep: %v", got)
	}
	if got := noted(w.put(store.GatewayKey("number"), nil)); !maps.Equal(got, map[string]struct{}{"waits": {}}) {
		t.Errorf("a gateway is gone: %v", got)
	}
	if got := noted(w.put(store.TokenKey("x"), nil)); len(got) != 0 {
		t.Errorf("something else: %v", got)
	}
}
