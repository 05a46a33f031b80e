package client

import (
	"context"
	"net/http"

	"sluice/store"
)

// Strays are values that are taken, and that no object has.
type Strays struct {
	ID     string  `json:"id,omitempty"` // names just these values; empty: there are none
	Taken  int     `json:"taken"`        // how many values are taken in all
	Values []Stray `json:"values"`
	More   bool    `json:"more,omitempty"` // there are more than are listed
}

// Stray is one of them.
type Stray struct {
	Value    string         `json:"value"`           // such as "addresses/alice/default/10.0.0.7"
	Owner    string         `json:"owner,omitempty"` // the object that is not there; empty: the key names none
	Modified store.Revision `json:"modified"`
}

// AbsentHosts are hosts that are not registered, and have ports.
type AbsentHosts struct {
	ID    string       `json:"id,omitempty"` // names just these ports; empty: there are none
	Hosts []AbsentHost `json:"hosts"`
}

// AbsentHost is one of them.
type AbsentHost struct {
	Host   string         `json:"host"`
	Ports  int            `json:"ports"`
	Newest store.Revision `json:"newest"` // at which the last of its ports was created
}

// Tidying is the word to remove what a look showed.
type Tidying struct {
	ID string `json:"id" doc:"what the look said; what has come or gone since is another, and refused" example:"0a1b2c3d4e5f"`
}

// Strays lists what is taken by objects that are not there.
func (c *Client) Strays(ctx context.Context) (Strays, error) {
	return get[Strays](ctx, c, path("tidy", "values"), nil)
}

// FreeStrays frees the values that an ID names, and returns them.
func (c *Client) FreeStrays(ctx context.Context, id string) (Strays, error) {
	return do[Strays](ctx, c, http.MethodPost, path("tidy", "values"), Tidying{id})
}

// AbsentHosts lists the hosts that are not registered and have ports.
func (c *Client) AbsentHosts(ctx context.Context) (AbsentHosts, error) {
	return get[AbsentHosts](ctx, c, path("tidy", "hosts"), nil)
}

// ClearAbsentHosts removes the ports that an ID names, and returns whose they were.
func (c *Client) ClearAbsentHosts(ctx context.Context, id string) (AbsentHosts, error) {
	return do[AbsentHosts](ctx, c, http.MethodPost, path("tidy", "hosts"), Tidying{id})
}
