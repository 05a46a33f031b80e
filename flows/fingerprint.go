package flows

import (
	"github.com/cespare/xxhash/v2"

	of "sluice/datapath/openflow"
)

// Fingerprint stands for a set of flows, whatever their order and their counters: two that are
// equal stand for the same flows. Taking one costs a small part of a Comparison, and 16 bytes
// are all that there is to keep.
type Fingerprint struct {
	flows int
	sum   uint64
}

// Add takes one flow in.
func (p *Fingerprint) Add(w *of.WireFlow) {
	h := mix(xxhash.Sum64(w.Match), uint64(w.Table)<<16|uint64(w.Priority))
	h = mix(h+xxhash.Sum64(w.Instructions), w.Cookie)
	p.sum += mix(h, uint64(w.IdleTimeout)<<32|uint64(w.HardTimeout)<<16|uint64(w.Flags))
	p.flows++
}

// Flows is how many there are.
func (p Fingerprint) Flows() int { return p.flows }

// Replaced is the fingerprint of what p stands for once some of its flows made way for others.
func (p Fingerprint) Replaced(gone, come Fingerprint) Fingerprint {
	return Fingerprint{flows: p.flows - gone.flows + come.flows, sum: p.sum - gone.sum + come.sum}
}
