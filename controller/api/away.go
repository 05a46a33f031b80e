package api

import (
	"strings"
	"time"

	"sluice/store"
)

// away says of a host whose switch has no session with this controller since when that is, and who can read
// the switch.
func (s *server) away(state *store.State, name string) string {
	own := s.Controller.Name()
	why := "its switch has no session with controller " + own
	if gone := s.Controller.Gone(name); gone > 0 {
		why += " since " + time.Now().Add(-gone).UTC().Format(time.RFC3339)
	}
	m := state.Master(name)
	if m == nil {
		return why + ", and no other has claimed it"
	}
	const look = ": is its Open vSwitch running, and does it reach the controllers?"
	claimant := m.Value.Controller
	live := state.LiveController(claimant)
	switch {
	case claimant == own:
		return why + ", which has claimed it" + look
	case live == nil:
		return why + ", and controller " + claimant + ", which has claimed it, does not run"
	case m.Value.Unreached:
		return why + ", nor with controller " + claimant + ", which has claimed it" + look
	}
	why += ", and controller " + claimant + " has claimed it"
	if live.Value.API != "" {
		why += ": ask that one, with --api " + live.Value.API
	}
	return why
}

// elsewhere says where else a dump may be; empty: no other controller runs.
func (s *server) elsewhere() string {
	var at []string
	s.Controller.View(func(state *store.State) {
		for c := range state.LiveControllers() {
			if c.Key.Name != s.Controller.Name() && c.Value.API != "" {
				at = append(at, "--api "+c.Value.API)
			}
		}
	})
	if len(at) == 0 {
		return ""
	}
	return "; another controller may keep one: ask with " + strings.Join(at, " or ")
}
