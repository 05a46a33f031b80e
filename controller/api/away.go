package api

import (
	"time"

	"sluice/store"
)

// away says of a host whose switch has no session with this controller since when that is, who can read
// the switch, and how to ask that one.
func (s *server) away(state *store.State, name string) string {
	why, claimant := s.claimed(state, name)
	if claimant != nil && claimant.Value.API != "" {
		why += ": ask that one, with --api " + claimant.Value.API
	}
	return why
}

// claimed says of such a host since when that is and who can read the switch: another controller, or nil.
func (s *server) claimed(state *store.State, name string) (why string, claimant *store.Item[store.LiveController]) {
	own := s.Controller.Name()
	why = "its switch has no session with controller " + own
	if gone := s.Controller.Gone(name); gone > 0 {
		why += " since " + time.Now().Add(-gone).UTC().Format(time.RFC3339)
	}
	m := state.Master(name)
	if m == nil {
		return why + ", and no other has claimed it", nil
	}
	const look = ": is its Open vSwitch running, and does it reach the controllers?"
	by := m.Value.Controller
	live := state.LiveController(by)
	switch {
	case by == own:
		return why + ", which has claimed it" + look, nil
	case live == nil:
		return why + ", and controller " + by + ", which has claimed it, does not run", nil
	case m.Value.Unreached:
		return why + ", nor with controller " + by + ", which has claimed it" + look, nil
	}
	return why + ", and controller " + by + " has claimed it", live
}
