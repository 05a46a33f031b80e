package client

import (
	"context"
	"net/http"
	"net/netip"

	"sluice/store"
)

// Sticky is what stays with the name of a port that is gone.
type Sticky struct {
	Tenant    string         `json:"tenant"`
	Network   string         `json:"network"`
	Name      string         `json:"name"`
	Host      string         `json:"host" doc:"where the next port of the name gets it"`
	MAC       store.MAC      `json:"mac"`
	Addresses []netip.Prefix `json:"addresses"`
	Since     store.Revision `json:"since" doc:"the revision at which the port went"`
}

// Stickies lists what stays with the names of a tenant's ports that are gone, or of all tenants'.
func (c *Client) Stickies(ctx context.Context, tenant string) ([]Sticky, error) {
	return getAll[Sticky](ctx, c, "/v1/stickies", query("tenant", tenant))
}

// DeleteSticky frees what stays with a name.
func (c *Client) DeleteSticky(ctx context.Context, tenant, network, name string) (Deleted, error) {
	return do[Deleted](ctx, c, http.MethodDelete, path("stickies", tenant, network, name), nil)
}
