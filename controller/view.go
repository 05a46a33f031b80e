package controller

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/store"
)

// HostStatus is how one host stands, as this controller sees it.
type HostStatus struct {
	Name       string           `json:"name"`
	State      store.HostState  `json:"state"`
	Realized   store.Revision   `json:"realized"`
	Master     string           `json:"master,omitempty"` // the controller that programs it
	Connected  bool             `json:"connected"`        // its switch, to this controller
	Live       bool             `json:"live"`             // its agent holds a lease
	VTEP       netip.Addr       `json:"vtep"`
	DatapathID store.DatapathID `json:"datapathID"`
	Flows      int              `json:"flows"` // as confirmed by the switch; 0: another controller's
	Missing    []string         `json:"missing,omitempty"`
	Drift      *Drift           `json:"drift,omitempty"` // nil: none since this controller started, or another's
	Problems   store.Problems   `json:"problems,omitempty"`
}

// Drift is what audits of a host's switch found and mended since this controller started:
// somebody else wrote to it.
type Drift struct {
	Missing int       `json:"missing"` // flows that were gone
	Extra   int       `json:"extra"`   // flows that were not ours
	Changed int       `json:"changed"` // flows whose actions were others
	Last    time.Time `json:"last"`
}

// ErrNotConnected says that a host's switch has no session with this controller.
type ErrNotConnected struct{ Host string }

func (e ErrNotConnected) Error() string {
	return fmt.Sprintf("host %s: its switch is not connected to this controller: see sluice status", e.Host)
}

// ErrUnknownHost says that no such host is registered.
type ErrUnknownHost struct{ Host string }

func (e ErrUnknownHost) Error() string {
	return fmt.Sprintf("host %s is not registered: see sluice host list", e.Host)
}

// Name is the controller's own.
func (c *Controller) Name() string { return c.opts.Name }

// View lets f read the state. f must not keep what it is given, nor call the controller.
func (c *Controller) View(f func(*store.State)) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	f(c.state)
}

func (c *Controller) revision() store.Revision {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.state.Revision()
}

// Hosts is how every registered host stands, sorted by name.
func (c *Controller) Hosts() []HostStatus {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var list []HostStatus
	for _, name := range slices.Sorted(maps.Keys(c.hosts)) {
		list = append(list, c.hostStatus(name, c.hosts[name]))
	}
	return list
}

func (c *Controller) hostStatus(name string, h *host) HostStatus {
	status := HostStatus{Name: name, State: store.HostRealized, Live: c.state.LiveHost(name) != nil}
	if item := c.state.Host(name); item != nil {
		status.VTEP, status.DatapathID = item.Value.VTEP(), item.Value.DatapathID
	}
	if m := c.state.Master(name); m != nil {
		status.Master = m.Value.Controller
	}
	realized, exception := h.standing(c.state.Revision())
	status.Realized = realized
	if exception != nil {
		status.State, status.Missing = exception.State, exception.Missing
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	status.Connected = h.session != nil
	if c.anothersLocked(name) {
		return status
	}
	if h.drift != (Drift{}) {
		drift := h.drift
		status.Drift = &drift
	}
	for _, n := range h.tables {
		status.Flows += n
	}
	for _, slice := range slices.Sorted(maps.Keys(h.troubles)) {
		status.Problems = append(status.Problems, h.troubles[slice].problems...)
	}
	return status
}

// Unknown are the datapath ids of switches that dialled in and belong to no host.
func (c *Controller) Unknown() []store.DatapathID {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.unknownLocked()
}

func (c *Controller) unknownLocked() []store.DatapathID {
	return slices.Sorted(maps.Keys(c.unknown))
}

// Problems are what is wrong with single objects, sorted and each told once.
func (c *Controller) Problems() []store.Problem {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.problemsLocked()
}

func (c *Controller) problemsLocked() []store.Problem {
	list := slices.Collect(maps.Values(c.unplaced))
	for name, h := range c.hosts {
		if c.anothersLocked(name) {
			continue
		}
		h.mu.Lock()
		for _, t := range h.troubles {
			list = append(list, t.problems...)
		}
		h.mu.Unlock()
	}
	return store.Problems(list).Told()
}

// Installed reads the flows that a host's switch holds now.
func (c *Controller) Installed(ctx context.Context, host string) ([]openflow.FlowStats, error) {
	s, err := c.session(host)
	if err != nil {
		return nil, err
	}
	var list []openflow.FlowStats
	err = s.sw.Flows(ctx, nil, func(f *openflow.FlowStats) bool {
		list = append(list, *f)
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("host %s: read flows: %w", host, err)
	}
	return list, nil
}

// Desired compiles the flows that a host's switch should hold, with its port numbers as
// the switch last told them.
func (c *Controller) Desired(host string) ([]openflow.Flow, []store.Problem, error) {
	s, err := c.session(host)
	if err != nil {
		return nil, nil, err
	}
	view := s.view()
	c.mu.RLock()
	defer c.mu.RUnlock()
	list, problems := flows.Desired(c.state, view)
	return list, problems, nil
}

func (c *Controller) session(host string) (*session, error) {
	c.mu.RLock()
	h := c.hosts[host]
	c.mu.RUnlock()
	if h == nil {
		return nil, ErrUnknownHost{host}
	}
	if s := h.current(); s != nil {
		return s, nil
	}
	return nil, ErrNotConnected{host}
}
