package client

import (
	"context"
	"time"

	"sluice/flows/verify/found"
	"sluice/store"
)

// Verification is whether the flows that switches hold keep tenants apart, host by host.
type Verification struct {
	Revision store.Revision `json:"revision"`
	Hosts    []VerifiedHost `json:"hosts"`
}

// VerifiedHost is what is proved of one host.
type VerifiedHost struct {
	Host     string          `json:"host"`
	Verdict  found.Verdict   `json:"verdict" enum:"proved,false,unproved,unread"`
	Read     time.Time       `json:"read,omitzero"` // its flows, for this request; zero: they were not
	Flows    int             `json:"flows"`
	Findings []found.Finding `json:"findings"`       // the first ones
	More     int             `json:"more,omitempty"` // findings that are not listed
	Why      string          `json:"why,omitempty"`  // it was not read, and who could
	// Last says of an unread host as of when the last proof of this controller holds, LastWhole when it last read all its flows;
	// zero: never.
	Last      time.Time `json:"last,omitzero"`
	LastWhole time.Time `json:"lastWhole,omitzero"`
}

// Verify proves the flows of hosts, all of them where none is named.
func (c *Client) Verify(ctx context.Context, hosts ...string) (Verification, error) {
	q := query()
	for _, name := range hosts {
		q.Add("host", name)
	}
	return get[Verification](ctx, c, "/v1/verify", q)
}

// State is what flows are proved by.
func (c *Client) State(ctx context.Context) (found.Snapshot, error) {
	return get[found.Snapshot](ctx, c, "/v1/state", nil)
}
