package client

import (
	"context"
	"net/http"

	"sluice/store"
)

// UnreadablePorts are ports whose value in etcd nobody can read, of hosts whose agent does not run.
type UnreadablePorts struct {
	ID    string           `json:"id,omitempty"` // names just these; empty: there are none
	Ports []UnreadablePort `json:"ports"`
	More  bool             `json:"more,omitempty"` // there are more than are listed
}

// UnreadablePort is one of them. Key and value are all that is needed to put it back.
type UnreadablePort struct {
	Tenant   string         `json:"tenant"`
	Network  string         `json:"network"`
	Name     string         `json:"name"`
	Host     string         `json:"host"`
	Why      string         `json:"why"`
	Modified store.Revision `json:"modified"`
	Key      string         `json:"key"` // in etcd
	Value    []byte         `json:"value"`
}

// UnreadablePorts lists ports that cannot be read, of hosts whose agent does not run.
func (c *Client) UnreadablePorts(ctx context.Context) (UnreadablePorts, error) {
	return get[UnreadablePorts](ctx, c, path("tidy", "ports"), nil)
}

// RemoveUnreadable removes the ports that an ID names, and returns them as they were.
func (c *Client) RemoveUnreadable(ctx context.Context, id string) (UnreadablePorts, error) {
	return do[UnreadablePorts](ctx, c, http.MethodPost, path("tidy", "ports"), Tidying{id})
}
