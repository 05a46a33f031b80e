package store

import "slices"

// factual are the kinds that say what the switches are to hold, and who programs them.
var factual = []Kind{KindSettings, KindTenant, KindNetwork, KindHost, KindPort, KindGateway, KindPeering, KindPublication, KindMaster, KindLiveController}

// Factual are the kinds of which Facts are.
func Factual() []Kind { return slices.Clone(factual) }

// Facts are the objects that flows are compiled from and proved by, with who programs the hosts, as one
// batch in any order: a new State that applies it says the same of them. The objects are those of the State, which are
// replaced and never changed.
func (s *State) Facts() Batch {
	b := Batch{Revision: s.revision}
	for _, kind := range factual {
		b.Events = append(b.Events, kind.describe().each(s)...)
	}
	return b
}
