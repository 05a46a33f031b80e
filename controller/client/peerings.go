package client

import (
	"context"
	"net/http"

	"sluice/store"
)

// States of a peering.
const (
	PeeringOffered = "offered" // one of the two wants it
	PeeringAgreed  = "agreed"  // both do, and networks of theirs reach each other
	PeeringRefused = "refused" // both do, and none of their networks can reach each other
)

// Peering is what two tenants say of each other, as the first of them sees it.
type Peering struct {
	Tenant       string   `json:"tenant"`
	Peer         string   `json:"peer"`
	Networks     []string `json:"networks"`     // of the tenant; none: all
	PeerNetworks []string `json:"peerNetworks"` // of the peer; none: all
	State        string   `json:"state" doc:"offered, agreed or refused"`
	OfferedBy    string   `json:"offeredBy,omitempty"` // the one that wants it, while the other does not
	Why          []string `json:"why" doc:"what is lacking, which networks do not reach each other, and what to know of the others"`

	Modified store.Revision `json:"modified" doc:"at which one of the two said something last"`
}

// PeeringSpec is what a client says to peer two tenants. With the token of one of them it is that tenant's word alone.
type PeeringSpec struct {
	Tenant       string   `json:"tenant" example:"alice"`
	Peer         string   `json:"peer" example:"bob"`
	Networks     []string `json:"networks,omitempty" doc:"of the tenant; none: all"`
	PeerNetworks []string `json:"peerNetworks,omitempty" doc:"of the peer; none: all"`
}

// Peerings lists the peerings of a tenant, or of all.
func (c *Client) Peerings(ctx context.Context, tenant string) ([]Peering, error) {
	return getAll[Peering](ctx, c, "/v1/peerings", query("tenant", tenant))
}

// Peering shows the peering of two tenants.
func (c *Client) Peering(ctx context.Context, one, other string) (Peering, error) {
	return get[Peering](ctx, c, path("peerings", one, other), nil)
}

// Peer peers two tenants, or says that the client's own wants it.
func (c *Client) Peer(ctx context.Context, spec PeeringSpec) (Peering, error) {
	return do[Peering](ctx, c, http.MethodPost, "/v1/peerings", spec)
}

// Unpeer ends the peering of two tenants.
func (c *Client) Unpeer(ctx context.Context, one, other string) (Deleted, error) {
	return do[Deleted](ctx, c, http.MethodDelete, path("peerings", one, other), nil)
}
