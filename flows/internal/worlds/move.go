package worlds

import (
	"math/rand/v2"
	"slices"

	"sluice/store"
)

// move puts half of the gateways on their way: to another host, back to one that drains, with several that drain and
// others that stand by. Its choices are its own, so that all else of a seed is as it was before.
func (w *World) move() {
	own := rand.New(rand.NewPCG(w.Seed, 4))
	for _, tenant := range w.Tenants {
		if g := w.State.Gateway(tenant); g != nil && own.IntN(2) == 0 {
			w.Put(store.GatewayKey(tenant), onItsWay(own, *g.Value, w.Hosts))
		}
	}
}

// onItsWay is a gateway with a part in its move for some of the hosts.
func onItsWay(own *rand.Rand, g store.Gateway, hosts []string) *store.Gateway {
	g.Draining, g.Standby, g.Ending = slices.Clone(g.Draining), nil, map[string]store.Ending{}
	for _, at := range own.Perm(len(hosts)) {
		host := hosts[at]
		part := own.IntN(5)
		switch drains := slices.Contains(g.Draining, host); {
		case host == g.Active:
		case part == 0 && g.Move == nil:
			g.Move = &store.Move{To: host}
		case part == 1 && !drains:
			g.Standby = append(g.Standby, host)
		case part < 4 && !drains && len(g.Draining) < store.MaxDraining:
			g.Draining = append(g.Draining, host)
			g.Ending[host] = store.Ending{Quiet: own.IntN(2) == 0}
		}
	}
	return &g
}
