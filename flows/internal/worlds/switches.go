package worlds

import (
	"maps"
	"slices"

	"sluice/flows"
	"sluice/flows/simulate"
	"sluice/store"
)

// The ports that each switch has beside its containers'.
const (
	TunnelPort   = 100
	GatewayPort  = 200
	ResolverPort = 300
	TrunkPort    = 350
)

// Switches are the switches of all hosts. An imposter's comes first, so that in a cluster of
// simulated ones its VTEP leads to the holder.
func (w *World) Switches() []flows.Switch {
	var all []flows.Switch
	if w.State.Host(Imposter) != nil {
		all = append(all, w.Switch(Imposter))
	}
	for _, host := range w.Hosts {
		all = append(all, w.Switch(host))
	}
	return all
}

// Switch is the switch of a host, with a port for each interface of its containers.
func (w *World) Switch(host string) flows.Switch {
	sw := flows.Switch{Host: host, OFPort: map[string]uint32{
		store.TunnelInterface: TunnelPort, store.GatewayInterface: GatewayPort, store.ResolverInterface: ResolverPort}}
	maps.Copy(sw.OFPort, w.probes(host))
	if trunk := w.State.Host(host).Value.Trunk; trunk != "" {
		sw.OFPort[trunk] = TrunkPort
	}
	for _, p := range slices.Concat(w.Ports, w.Strays) {
		if p.Host == host {
			sw.OFPort[p.Value.Interface] = p.OFPort
		}
	}
	return sw
}

// Simulated is the switch with its place in a simulated cluster; its bridge is still to be given.
func (w *World) Simulated(sw flows.Switch) *simulate.Host {
	vteps := w.State.Host(sw.Host).Value.VTEPs
	h := &simulate.Host{Name: sw.Host, VTEP: vteps[0], Further: vteps[1:], Tunnel: TunnelPort, Gateway: GatewayPort,
		Ports: map[uint32]string{ResolverPort: store.ResolverInterface}}
	if w.State.Host(sw.Host).Value.Trunk != "" {
		h.Trunked, h.Trunk = true, TrunkPort
	}
	for _, p := range slices.Concat(w.Ports, w.Strays) {
		if p.Host == sw.Host {
			h.Ports[p.OFPort] = p.Key.Short()
		}
	}
	return h
}
