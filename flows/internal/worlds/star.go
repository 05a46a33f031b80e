package worlds

import (
	"math/rand/v2"

	"sluice/store"
)

// star has some gateway hosts relay what passes between others, and some of those be the centre of a star. Its choices are
// its own, so that all else of a seed is as it was before.
func (w *World) star() {
	own := rand.New(rand.NewPCG(w.Seed, 6))
	for _, tenant := range w.Tenants {
		g := w.State.Gateway(tenant)
		relay := []store.Relay{"", store.RelayReady, store.RelayOn}[own.IntN(3)]
		if g == nil || relay == "" {
			continue
		}
		n := *g.Value
		n.Relay = relay
		w.Put(store.GatewayKey(tenant), &n)
	}
}
