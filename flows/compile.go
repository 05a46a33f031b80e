package flows

import (
	"sluice/datapath/openflow"
	"sluice/store"
)

// Compile emits the flows of one slice on one switch. A slice whose object is gone has
// none.
func Compile(s *store.State, sw Switch, sl Slice, emit func(openflow.Flow)) []store.Problem {
	return nil
}

// CompileHost emits every flow of a host.
func CompileHost(s *store.State, sw Switch, emit func(openflow.Flow)) []store.Problem {
	return nil
}

// Missing lists the host's ports whose interface the switch lacks.
func Missing(s *store.State, sw Switch) []store.Key { return nil }
