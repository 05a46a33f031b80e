package client

import (
	"context"
	"net/netip"
	"time"

	"sluice/store"
)

// HostStatus is how one host stands.
type HostStatus struct {
	Name       string           `json:"name"`
	State      store.HostState  `json:"state"`
	Realized   store.Revision   `json:"realized"`
	Master     string           `json:"master,omitempty"` // the controller that programs it
	Connected  bool             `json:"connected"`        // its switch, to the controller that answers
	Live       bool             `json:"live"`             // its agent holds a lease
	Agent      store.Program    `json:"agent,omitzero"`   // what its live agent says of itself
	VTEP       netip.Addr       `json:"vtep"`
	DatapathID store.DatapathID `json:"datapathID"`
	Flows      int              `json:"flows"` // as confirmed by the switch; 0: another controller's
	Missing    []string         `json:"missing,omitempty"`
	Drift      *Drift           `json:"drift,omitempty"` // nil: none since the controller started, or another's
	Proof      *Proof           `json:"proof,omitempty"` // that its flows keep tenants apart; nil: another controller proves it
	Problems   store.Problems   `json:"problems,omitempty"`
}

// Drift is what audits of a host's switch found and mended since its controller started: somebody else wrote to it.
type Drift struct {
	Missing int       `json:"missing"` // flows that were gone
	Extra   int       `json:"extra"`   // flows that were not ours
	Changed int       `json:"changed"` // flows whose actions were others
	Last    time.Time `json:"last"`
}

// Isolation says in a word what is proved of a host's switch.
type Isolation string

// What may be proved of a switch.
const (
	IsolationProved   Isolation = "proved"   // what it held when it was last read keeps tenants apart
	IsolationUnproved Isolation = "unproved" // a flow that it held breaks a rule of the proof
	IsolationUnknown  Isolation = "unknown"  // nothing was proved since it dialled in
)

// Proof is what a proof over the flows of a host's switch came to.
type Proof struct {
	Isolation Isolation `json:"isolation"`
	// At is as of when it holds: when all flows were last read and proved, or those of them that changed since, or when an audit
	// found the flows to be what was proved. Zero: nothing was proved yet.
	At       time.Time `json:"at,omitzero"`
	Whole    time.Time `json:"whole,omitzero"`     // when all flows were last read and proved; zero: they never were
	Flows    int       `json:"flows,omitempty"`    // how many they were then
	Findings int       `json:"findings,omitempty"` // flows that break a rule
	First    string    `json:"first,omitempty"`    // the first of them: the flow, its owner and the rule
}

// Status is the whole cluster at a glance.
type Status struct {
	Store   StoreStatus   `json:"store"`
	Program store.Program `json:"program"` // the controller that gave this status
	// LeastSchema is the least schema that a program writes which may write the store.
	LeastSchema int `json:"leastSchema"`
	// UnknownKinds are how many objects of each kind there are that this controller does not know. They are kept.
	UnknownKinds map[string]int     `json:"unknownKinds,omitempty"`
	Revision     store.Revision     `json:"revision"`
	Tenants      int                `json:"tenants"`
	Networks     int                `json:"networks"`
	Ports        int                `json:"ports"`
	HostStates   map[string]int     `json:"hostStates"` // how many hosts are in each state
	Hosts        []HostStatus       `json:"hosts"`
	Controllers  []ControllerStatus `json:"controllers"`
	Unknown      []store.DatapathID `json:"unknown"` // switches that dialled in and belong to no host
	// UnknownShows says of those that showed a certificate whose it is, by datapath id.
	UnknownShows map[string]string `json:"unknownShows,omitempty"`
	// UnknownMore is how many are not listed, by every controller that they dialled.
	UnknownMore int            `json:"unknownMore,omitempty"`
	Problems    store.Problems `json:"problems"`
	// Notes are what an operator may want to know, though nothing is wrong.
	Notes []string `json:"notes,omitempty"`
	// Requests are what hosts' agents wait for a word about, by host.
	Requests map[string]store.Request `json:"requests,omitempty"`
}

// StoreStatus is which store the controller serves.
type StoreStatus struct {
	ID   string `json:"id,omitempty"` // empty: it remembers none yet
	Held bool   `json:"held"`         // etcd holds another, or one that went back: the controller touches nothing
	Why  string `json:"why,omitempty"`
}

// ControllerStatus is one live controller.
type ControllerStatus struct {
	Name     string    `json:"name"`
	OpenFlow string    `json:"openflow"` // where switches dial in
	API      string    `json:"api"`
	Since    time.Time `json:"since"`
	Answers  bool      `json:"answers"` // it is the one that gave this status
	store.Program
}

// Status is the cluster at a glance.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return get[Status](ctx, c, "/v1/status", nil)
}
