package worlds

import (
	"math/rand/v2"
	"slices"

	"sluice/store"
)

// ProbePort is where the numbers of a switch's probe ports begin: that of the first host.
const ProbePort = 400

// backUp gives most of the gateways a backup that has no part in their move. Its choices are its own, so that all else of
// a seed is as it was before.
func (w *World) backUp() {
	own := rand.New(rand.NewPCG(w.Seed, 5))
	for _, tenant := range w.Tenants {
		g := w.State.Gateway(tenant)
		host := w.Hosts[own.IntN(len(w.Hosts))]
		if g == nil || slices.Contains(g.Value.Movers(), host) {
			continue
		}
		n := *g.Value
		n.Backup = host
		w.Put(store.GatewayKey(tenant), &n)
	}
}

// probes are a switch's ports to each other host, but for now and then one that is not made yet.
func (w *World) probes(host string) map[string]uint32 {
	ports := map[string]uint32{}
	for i, other := range w.Hosts {
		if other != host && (w.Seed+uint64(i))%5 > 0 {
			ports[store.ProbeInterface(other)] = ProbePort + uint32(i)
		}
	}
	return ports
}
