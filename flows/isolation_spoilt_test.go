package flows_test

import (
	"net/netip"
	"slices"

	"sluice/flows"
	"sluice/flows/simulate"
	"sluice/store"
)

// speakForOthers lets every port speak with the address that it may have besides, and lets its
// neighbours try the same.
func (w *world) speakForOthers() {
	for _, a := range w.Ports {
		for _, pair := range a.Value.AllowedPairs {
			me := simulate.Endpoint{MAC: pair.MAC, IP: pair.Prefix.Addr(), Port: 5000}
			if me.MAC.IsZero() {
				me.MAC = a.Value.MAC
			}
			for _, b := range w.Others(a) {
				w.only(w.send(a, simulate.UDP(me, b.End4())), b, "with an allowed address")
				w.count(a.Key.Tenant, flows.DirectionOut, flows.ScopeInternal, 1)
				w.count(a.Key.Tenant, flows.DirectionIn, flows.ScopeInternal, 1)
				w.nothing(w.send(b, simulate.UDP(me, a.End4())), "with another's allowed MAC and address")
				me := simulate.Endpoint{MAC: b.Value.MAC, IP: me.IP, Port: 5000}
				w.nothing(w.send(b, simulate.UDP(me, a.End4())), "with another's allowed address")
			}
			mixed := simulate.Endpoint{MAC: pair.MAC, IP: a.End4().IP}
			if !pair.MAC.IsZero() {
				w.nothing(w.send(a, simulate.UDP(mixed, outside)), "with the allowed MAC and the other address")
			}
		}
	}
}

// stray sends from ports of spoilt objects, and to them: what the dead send reaches nobody,
// nothing reaches them, and nobody of another tenant is reached by any.
func (w *world) stray() {
	for _, s := range w.Strays {
		for _, b := range w.Ports {
			to := b.End4()
			toRouter := simulate.Endpoint{MAC: store.RouterMAC, IP: to.IP, Port: to.Port}
			everybody := simulate.Endpoint{MAC: simulate.Broadcast, IP: netip.MustParseAddr("255.255.255.255"), Port: 9}
			for _, p := range []simulate.Packet{
				simulate.UDP(s.End4(), to), simulate.UDP(s.End4(), toRouter), simulate.UDP(s.End4(), everybody), simulate.ARPRequest(s.End4(), to.IP),
			} {
				if walk := w.send(s, p); s.Dead {
					w.nothing(walk, "from a port that a hand edit spoilt")
				}
			}
			for _, mac := range []store.MAC{s.Value.MAC, store.RouterMAC} {
				walk := w.send(b, simulate.UDP(to, simulate.Endpoint{MAC: mac, IP: s.End4().IP, Port: 7}))
				if slices.ContainsFunc(walk.Deliveries, func(d simulate.Delivery) bool { return w.portAt(d) == s }) {
					w.fatalf("%s reached %s:\n%s", b.Key.Short(), s.Key.Short(), walk)
				}
			}
		}
	}
}
