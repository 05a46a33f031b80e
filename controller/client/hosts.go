package client

import (
	"context"
	"net/http"

	"sluice/store"
)

// Host is a registered host and how it stands.
type Host struct {
	Name string `json:"name"`
	store.Host
	State     store.HostState `json:"state"`
	Realized  store.Revision  `json:"realized"`
	Master    string          `json:"master,omitempty"` // the controller that programs it
	Connected bool            `json:"connected"`        // its switch, to the controller that answers
	Live      bool            `json:"live"`             // its agent holds its lease
	Agent     store.Program   `json:"agent,omitzero"`   // what its live agent says of itself
	Flows     int             `json:"flows"`
	Ports     int             `json:"ports"`
	Missing   []string        `json:"missing,omitempty"` // ports whose interface the switch lacks
	Problems  store.Problems  `json:"problems,omitempty"`
	Created   store.Revision  `json:"created"`
	Modified  store.Revision  `json:"modified" doc:"at which its agent wrote it last"`
	// Request is what its agent waits for a word about.
	Request *store.Request `json:"request,omitempty"`
}

// Word is what an operator said to a host's agent, and what it had asked for.
type Word struct {
	Revision store.Revision `json:"revision"`
	// Request is what the word answers; none: the agent asked for nothing, and needs no word.
	Request *store.Request `json:"request,omitempty"`
}

// Hosts lists all hosts, sorted by name.
func (c *Client) Hosts(ctx context.Context) ([]Host, error) {
	return getAll[Host](ctx, c, "/v1/hosts", nil)
}

// HostsAt lists the hosts that were there at a revision, without how they stood.
func (c *Client) HostsAt(ctx context.Context, at store.Revision) ([]Host, error) {
	return getAll[Host](ctx, c, "/v1/hosts", query("at", number(uint64(at))))
}

// Host shows one host.
func (c *Client) Host(ctx context.Context, name string) (Host, error) {
	return get[Host](ctx, c, path("hosts", name), nil)
}

// DeleteHost forgets a host; its agent finds its writes refused until it registers anew.
func (c *Client) DeleteHost(ctx context.Context, name string) (Deleted, error) {
	return do[Deleted](ctx, c, http.MethodDelete, path("hosts", name), nil)
}

// AdoptHost tells a host's agent that this store is the one to serve from now on, and to take the
// ports into it that the host has and the store lacks.
func (c *Client) AdoptHost(ctx context.Context, name string) (Word, error) {
	return do[Word](ctx, c, http.MethodPost, path("hosts", name, "adopt"), nil)
}

// CleanHost tells a host's agent to remove the interfaces that belong to no port of this store.
func (c *Client) CleanHost(ctx context.Context, name string) (Word, error) {
	return do[Word](ctx, c, http.MethodPost, path("hosts", name, "clean"), nil)
}
