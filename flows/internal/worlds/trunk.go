package worlds

import (
	"math/rand/v2"

	"sluice/store"
)

// trunkInterface is the trunk of each host that has one.
const trunkInterface = "eth1"

// trunk gives some hosts a trunk, or all of them, most of which are ready. Its choices are its own, so that all else of a seed is as it was
// before.
func (w *World) trunk() {
	own := rand.New(rand.NewPCG(w.Seed, 7))
	all := own.IntN(2) == 0
	for _, host := range w.Hosts {
		h := *w.State.Host(host).Value
		if h.TrunkReady = all || own.IntN(3) > 0; !all && own.IntN(3) == 0 {
			continue
		}
		h.Trunk = trunkInterface
		w.Put(store.HostKey(host), &h)
	}
}
