package client

import (
	"context"
	"net/http"
	"net/netip"

	"sluice/store"
)

// Floating says which addresses may float: tenants publish on them, and they go along with their tenants' gateways.
type Floating struct {
	Ranges []string          `json:"ranges" doc:"addresses that may float; in a subnet of the gateway hosts' uplinks, and nobody else's" example:"[\"203.0.113.50-203.0.113.59\"]"`
	Used   []FloatingAddress `json:"used,omitempty" readOnly:"true" doc:"those that tenants publish on"`

	Modified store.Revision `json:"modified,omitempty" readOnly:"true" doc:"at which the cluster's settings were written last"`
}

// FloatingAddress is an address that a tenant publishes on.
type FloatingAddress struct {
	Address netip.Addr `json:"address"`
	Tenant  string     `json:"tenant" doc:"who has it"`
	Host    string     `json:"host,omitempty" doc:"its gateway host, where the address is now"`
}

// Floating reports which addresses may float, and which do.
func (c *Client) Floating(ctx context.Context) (Floating, error) {
	return do[Floating](ctx, c, http.MethodGet, "/v1/floating", nil)
}

// SetFloating says which addresses may float, in place of those that may now.
func (c *Client) SetFloating(ctx context.Context, wanted Floating) (Floating, error) {
	return do[Floating](ctx, c, http.MethodPut, "/v1/floating", wanted)
}
