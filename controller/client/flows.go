package client

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// Views of a host's flows.
const (
	ViewInstalled = "installed" // read from the switch now
	ViewDesired   = "desired"   // compiled from the state
	ViewDiff      = "diff"      // what programming would change; empty when all is right
)

// Flow is one flow of one host.
type Flow struct {
	Host      string `json:"host"`
	Table     uint8  `json:"table"`
	TableName string `json:"tableName"`
	Priority  uint16 `json:"priority"`
	Cookie    string `json:"cookie"` // 0x and 16 hexadecimal digits
	Owner     string `json:"owner"`  // the object that the flow serves
	Packets   uint64 `json:"packets"`
	Bytes     uint64 `json:"bytes"`
	Text      string `json:"text"`                                                       // in ovs-ofctl's syntax
	Words     string `json:"words"`                                                      // the same in the cluster's words
	Age       string `json:"age,omitempty"`                                              // for how long it was installed, as ovs-ofctl writes it
	Note      string `json:"note,omitempty"`                                             // what it counts, or why it refuses
	Change    string `json:"change,omitempty" enum:"add,modify,delete" required:"false"` // in the diff: what is missing from the switch, wrong, or too much
}

// FlowReading is what was told of one host's flows.
type FlowReading struct {
	Flows    []Flow
	Problems []string      // where flows were compiled, what compiles to less than it asks for, an object and what is wrong with it each; or that the switch is away
	Age      time.Duration // of installed flows of a switch that is away: how long ago they were read; 0: just now
	Of       string        // the controller that read them, where it is another one than was asked
}

// Headers of an answer of flows.
const (
	problemHeader    = "Sluice-Problem"
	ageHeader        = "Age"
	controllerHeader = "Sluice-Controller"
)

// Flows reads flows of one host. Where they are compiled, problems are what compiles to less than
// it asks for, an object and what is wrong with it each.
func (c *Client) Flows(ctx context.Context, host string, f FlowFilter) (list []Flow, problems []string, err error) {
	r, err := c.ReadFlows(ctx, host, f)
	return r.Flows, r.Problems, err
}

// ReadFlows reads flows of one host, and tells how old they are and who read them.
func (c *Client) ReadFlows(ctx context.Context, host string, f FlowFilter) (r FlowReading, err error) {
	q := query("tenant", f.Tenant, "network", f.Network, "port", f.Port, "table", f.Table,
		"owner", f.Owner, "reason", f.Reason, "packet", f.Packet, "view", f.View, "at", number(uint64(f.At)), "since", number(uint64(f.Since)))
	list, header, err := exchange[[]Flow](ctx, c, http.MethodGet, with(path("hosts", host)+"/flows", q), nil)
	if err != nil {
		return r, err
	}
	age, _ := strconv.Atoi(header.Get(ageHeader)) // missing where they were read just now
	return FlowReading{Flows: list, Problems: header.Values(problemHeader), Age: time.Duration(age) * time.Second, Of: header.Get(controllerHeader)}, nil
}
