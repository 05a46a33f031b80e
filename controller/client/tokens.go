package client

import (
	"context"
	"net/http"
	"time"

	"sluice/store"
)

// Token is who may use the API, as the API shows it: without what proves it.
type Token struct {
	Name     string         `json:"name"`
	Role     store.Role     `json:"role"`
	Tenant   string         `json:"tenant,omitempty"` // the only one that it is for
	Person   bool           `json:"person"`           // a person's certificate, and no secret, stands for it
	Expires  *time.Time     `json:"expires,omitempty"`
	By       string         `json:"by,omitempty"` // who made it
	Valid    bool           `json:"valid"`        // it has not expired, and its tenant is there
	Created  store.Revision `json:"created"`
	Modified store.Revision `json:"modified" doc:"at which it was written last"`
}

// TokenSpec is what a client says to create a token.
type TokenSpec struct {
	Name    string     `json:"name" doc:"a DNS label; of a person's, the name in the certificate" example:"ci"`
	Role    string     `json:"role" doc:"admin, viewer or tenant" example:"viewer"`
	Tenant  string     `json:"tenant,omitempty" doc:"of role tenant: the only one that it sees and changes"`
	Person  bool       `json:"person,omitempty" doc:"the certificate person:NAME stands for it, and no secret"`
	Expires *time.Time `json:"expires,omitempty" doc:"none: never"`
}

// NewToken is a token with its text, which nobody can see again.
type NewToken struct {
	Token
	Text string `json:"token,omitempty" doc:"send it as Authorization: Bearer TOKEN. It is shown this once; a person's has none"`
}

// Tokens lists who may use the API, sorted by name.
func (c *Client) Tokens(ctx context.Context) ([]Token, error) {
	return getAll[Token](ctx, c, "/v1/tokens", nil)
}

// CreateToken lets somebody use the API.
func (c *Client) CreateToken(ctx context.Context, spec TokenSpec) (NewToken, error) {
	return do[NewToken](ctx, c, http.MethodPost, "/v1/tokens", spec)
}

// RevokeToken ends a token.
func (c *Client) RevokeToken(ctx context.Context, name string) (Deleted, error) {
	return do[Deleted](ctx, c, http.MethodDelete, path("tokens", name), nil)
}
