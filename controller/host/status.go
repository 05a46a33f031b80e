package host

import (
	"fmt"
	"net/netip"

	"sluice/controller/cluster"
	"sluice/store"
)

// Status is how one host stands, as this controller sees it.
type Status struct {
	Name       string           `json:"name"`
	State      store.HostState  `json:"state"`
	Realized   store.Revision   `json:"realized"`
	Master     string           `json:"master,omitempty"` // the controller that programs it
	Connected  bool             `json:"connected"`        // its switch, to this controller
	Live       bool             `json:"live"`             // its agent holds a lease
	Agent      store.Program    `json:"agent,omitzero"`   // what its live agent says of itself
	VTEP       netip.Addr       `json:"vtep"`
	DatapathID store.DatapathID `json:"datapathID"`
	Flows      int              `json:"flows"` // as confirmed by the switch; 0: another controller's
	Missing    []string         `json:"missing,omitempty"`
	Drift      *Drift           `json:"drift,omitempty"` // nil: none since this controller started, or another's
	Proof      *Proof           `json:"proof,omitempty"` // that its flows keep tenants apart; nil: another controller proves it
	Problems   store.Problems   `json:"problems,omitempty"`
}

// ErrNotConnected says that a host's switch has no session with this controller.
type ErrNotConnected struct{ Host string }

func (e ErrNotConnected) Error() string {
	return fmt.Sprintf("host %s: its switch is not connected to this controller: see sluice status", e.Host)
}

// ErrUnknown says that no such host is registered.
type ErrUnknown struct{ Host string }

func (e ErrUnknown) Error() string {
	return fmt.Sprintf("host %s is not registered: see sluice host list", e.Host)
}

// Status is the host's. controller is the name of the one that asks: what it knows of a host
// that another one programs is of before.
func (h *Host) Status(s *store.State, controller string) Status {
	status := Status{Name: h.Name, State: store.HostRealized}
	if live := s.LiveHost(h.Name); live != nil {
		status.Live, status.Agent = true, live.Value.Program
	}
	if item := s.Host(h.Name); item != nil {
		status.VTEP, status.DatapathID = item.Value.VTEP(), item.Value.DatapathID
	}
	if m := s.Master(h.Name); m != nil {
		status.Master = m.Value.Controller
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	realized, exception := h.standing(s.Revision())
	status.Realized, status.Connected = realized, h.connected
	if exception != nil {
		status.State, status.Missing = exception.State, exception.Missing
	}
	if cluster.IsAnothers(s, controller, h.Name) {
		return status
	}
	if h.drift != (Drift{}) {
		drift := h.drift
		status.Drift = &drift
	}
	for _, n := range h.tables {
		status.Flows += n
	}
	proof := h.proved()
	status.Proof = &proof
	status.Problems = h.problems().Told() // each peer of the host may tell the same
	return status
}
