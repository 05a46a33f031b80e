package flows_test

import (
	"sluice/flows"
	"sluice/flows/simulate"
	"sluice/store"

	of "sluice/datapath/openflow"
)

// visit has the outside open connections to what is published, by the kernels of the active gateway host and of those that
// drain, and to what is not.
func (w *world) visit() {
	for p := range w.State.Publications() {
		g := w.State.Gateway(p.Key.Tenant)
		if g == nil {
			continue
		}
		port, _, why := w.State.PublishedPort(p)
		lets := why == "" && w.State.Unpublished(p) == ""
		for client, host := range append([]string{g.Value.Active}, g.Value.Draining...) {
			from := simulate.Endpoint{MAC: store.KernelMAC, IP: outside.IP, Port: uint16(5000 + client)}
			to := simulate.Endpoint{MAC: store.RouterMAC, IP: store.DefaultTransit.Address(w.Number(p.Key.Tenant)), Port: p.Value.On}
			if !lets {
				if w.stands(p) {
					continue // where another one of its tenant does
				}
				w.nothing(w.knock(host, p.Value.Protocol, from, to), "what is not let in: "+p.Key.Short())
				continue
			}
			for i := range p.Value.Count {
				to.Port = p.Value.On + i
				w.enter(host, p, w.of(port), from, to, p.Value.First+i)
			}
			to.Port = p.Value.On + p.Value.Count
			w.nothing(w.knock(host, p.Value.Protocol, from, to), "behind the last port of "+p.Key.Short())
		}
	}
}

// stands reports whether another publication of the tenant has the first port of one.
func (w *world) stands(p *store.Item[store.Publication]) bool {
	for other := range w.State.PublicationsAt(store.Endpoint{Protocol: p.Value.Protocol, Port: p.Value.On}) {
		if other != p && other.Key.Tenant == p.Key.Tenant && w.State.Unpublished(other) == "" {
			return true
		}
	}
	return false
}

// of is a port of the world's own.
func (w *world) of(item *store.Item[store.Port]) *port {
	for _, p := range w.Ports {
		if p.Key == item.Key {
			return p
		}
	}
	w.fatalf("no port %s", item.Key.Short())
	return nil
}

// knock is a first packet from outside, as the kernel sends it to the switch.
func (w *world) knock(host string, protocol store.Protocol, from, to simulate.Endpoint) *simulate.Walk {
	p := simulate.TCP(from, to, simulate.TCPSyn)
	if protocol == store.ProtocolUDP {
		p = simulate.UDP(from, to)
	}
	walk, err := w.cluster.Send(host, gatewayPort, p)
	if err != nil {
		w.fatalf("from outside at %s: %v", host, err)
	}
	return walk
}

// enter opens a connection and answers it; both again, as it goes on.
func (w *world) enter(host string, p *store.Item[store.Publication], to *port, from, transit simulate.Endpoint, at uint16) {
	dst, src := of.FieldTCPDst, of.FieldTCPSrc
	if p.Value.Protocol == store.ProtocolUDP {
		dst, src = of.FieldUDPDst, of.FieldUDPSrc
	}
	for range 2 {
		got := w.only(w.knock(host, p.Value.Protocol, from, transit), to, "from outside to "+p.Key.Short())
		if got.Get(of.FieldIPDst) != of.Address(to.End4().IP) || got.Uint(dst) != uint64(at) || got.Get(of.FieldIPSrc) != of.Address(from.IP) ||
			got.Uint(of.FieldEthSrc) != store.PublishedMAC.Uint64() {
			w.fatalf("from outside to %s: the container gets %s", p.Key.Short(), &got)
		}
		w.count(p.Key.Tenant, flows.DirectionIn, flows.ScopePublished, 1)
		answer := simulate.Answer(got, to.Value.MAC)
		answer.SetUint(of.FieldEthDst, store.RouterMAC.Uint64())
		walk := w.send(to, answer)
		if len(walk.Deliveries) != 1 || !walk.Deliveries[0].Kernel || walk.Deliveries[0].Host != host {
			w.fatalf("the answer of %s did not leave by %s alone:\n%s", p.Key.Short(), host, walk)
		}
		left := walk.Deliveries[0].Packet
		if left.Get(of.FieldIPSrc) != of.Address(transit.IP) || left.Uint(src) != uint64(transit.Port) || left.Get(of.FieldIPDst) != of.Address(from.IP) {
			w.fatalf("the answer of %s leaves as %s", p.Key.Short(), &left)
		}
		w.count(p.Key.Tenant, flows.DirectionOut, flows.ScopePublished, 1)
		w.count(p.Key.Tenant, flows.DirectionOut, flows.ScopeGateway, 1)
		w.count(p.Key.Tenant, flows.DirectionIn, flows.ScopeGateway, 1)
	}
}
