package client

import (
	"context"
	"net/http"

	"sluice/store"
)

// Schema says who may write the store.
type Schema struct {
	Least  int `json:"least"`  // the least schema that a program writes which may write
	Writes int `json:"writes"` // the schema that the controller writes which answers
	// Away are registered hosts whose agents are not live: one that is older than Least will hold when it is back.
	Away []string `json:"away"`

	Modified store.Revision `json:"modified,omitempty" doc:"at which somebody said so last; none: nobody did"`
}

// SchemaSpec says who may write the store from now on.
type SchemaSpec struct {
	Least int `json:"least"`
}

// Schema is which versions may write the store.
func (c *Client) Schema(ctx context.Context) (Schema, error) {
	return get[Schema](ctx, c, "/v1/schema", nil)
}

// SetSchema says which may from now on.
func (c *Client) SetSchema(ctx context.Context, least int) (Schema, error) {
	return do[Schema](ctx, c, http.MethodPost, "/v1/schema", SchemaSpec{Least: least})
}
