package controller

import (
	"context"
	"fmt"
	"net/netip"

	"sluice/datapath/openflow"
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
	Flows      int              `json:"flows"` // desired, at the last programming
	Missing    []string         `json:"missing,omitempty"`
	Problems   store.Problems   `json:"problems,omitempty"`
}

// View lets f read the state. f must not keep what it is given, nor call the controller.
func (c *Controller) View(f func(*store.State)) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	f(c.state)
}

// ErrNotConnected says that a host's switch has no session with this controller.
type ErrNotConnected struct{ Host string }

func (e ErrNotConnected) Error() string {
	return fmt.Sprintf("host %s: its switch is not connected to this controller: see sluice status", e.Host)
}

// Hosts is how every registered host stands, sorted by name.
func (c *Controller) Hosts() []HostStatus { panic("unwritten") }

// Unknown are the datapath ids of switches that dialled in and belong to no host.
func (c *Controller) Unknown() []store.DatapathID { panic("unwritten") }

// Problems are what is wrong with single objects, on all hosts that this controller programs.
func (c *Controller) Problems() []store.Problem { panic("unwritten") }

// Installed reads the flows that a host's switch holds now.
func (c *Controller) Installed(ctx context.Context, host string) ([]openflow.FlowStats, error) {
	panic("unwritten")
}

// Desired compiles the flows that a host's switch should hold.
func (c *Controller) Desired(host string) ([]openflow.Flow, []store.Problem, error) {
	panic("unwritten")
}
