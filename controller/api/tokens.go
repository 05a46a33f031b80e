package api

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
	"sluice/store"
)

// tokenStore writes tokens, which need no requests of their own.
type tokenStore interface {
	Decide(ctx context.Context, request func(*store.State) (store.Proposal, error), needs ...string) (store.Revision, error)
	Remove(ctx context.Context, key store.Key, name string, presumed ...store.Presumption) (store.Revision, error)
}

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

// tokenPath is the token that a route names.
type tokenPath struct {
	Token string `path:"token" example:"ci"`
}

func (s *server) tokens(a huma.API) {
	const tag, one = "tokens", "/v1/tokens/{token}"
	huma.Register(a, operation("list-tokens", http.MethodGet, "/v1/tokens", tag, "List who may use the API", access.Rule), s.listTokens)
	huma.Register(a, operation("create-token", http.MethodPost, "/v1/tokens", tag, "Let somebody use the API", access.Rule), s.createToken)
	huma.Register(a, conditional(operation("show-token", http.MethodGet, one, tag, "Show a token, without its secret", access.Rule)), s.showToken)
	huma.Register(a, conditional(operation("revoke-token", http.MethodDelete, one, tag, "Revoke a token, at once", access.Rule)), s.revokeToken)
}

func (s *server) listTokens(_ context.Context, in *PageQuery) (*page[Token], error) {
	return listing(s, store.KindToken, *in, tokenKeys, func(state *store.State, key store.Key) (Token, bool) {
		t := state.Token(key.Name)
		if t == nil {
			return Token{}, false
		}
		return tokenOf(state, t), true
	})
}

// tokenKeys walks tokens by name.
func tokenKeys(state *store.State, after store.Key) iter.Seq[store.Key] {
	return func(yield func(store.Key) bool) {
		for t := range state.Tokens() {
			if t.Key.Name > after.Name && !yield(t.Key) {
				return
			}
		}
	}
}

func (s *server) showToken(ctx context.Context, in *tokenPath) (*tagged[Token], error) {
	var shown *Token
	s.Controller.View(func(state *store.State) {
		if t := state.Token(in.Token); t != nil {
			one := tokenOf(state, t)
			shown = &one
		}
	})
	if shown == nil {
		return nil, absent("token", in.Token, "token list")
	}
	return show(ctx, shown.Modified, *shown)
}

// tokenOf is what the API shows of a token.
func tokenOf(state *store.State, t *store.Item[store.Token]) Token {
	shown := Token{
		Name: t.Key.Name, Role: t.Value.Role, Tenant: t.Value.Tenant, Person: t.Value.Person, By: t.Value.By, Created: t.Created, Modified: t.Modified,
		Valid: access.IsValid(state, t.Value, time.Now()),
	}
	if !t.Value.Expires.IsZero() {
		shown.Expires = &t.Value.Expires
	}
	return shown
}

func (s *server) createToken(ctx context.Context, in *struct{ Body TokenSpec }) (*body[NewToken], error) {
	made := &body[NewToken]{}
	spec, text, err := tokenSpec(in.Body, access.From(ctx))
	if err != nil {
		return nil, s.refuse(err)
	}
	made.Body.Text = text
	rev, err := s.write(ctx, "token "+spec.Name, func(ctx context.Context) (store.Revision, error) {
		rev, err := s.Store.Decide(ctx, spec.Propose, spec.Needs()...)
		if err != nil {
			return 0, fmt.Errorf("create token %s: %w", spec.Name, err)
		}
		return rev, nil
	})
	if err != nil {
		return nil, err
	}
	shown, err := s.showToken(ctx, &tokenPath{spec.Name})
	if err != nil {
		return nil, unseen(err, "token", spec.Name, rev)
	}
	made.Body.Token = shown.Body
	return made, nil
}

// tokenSpec is what a caller asks for, and the text of the token; a person's has none.
func tokenSpec(in TokenSpec, by access.Caller) (spec store.TokenSpec, text string, err error) {
	spec = store.TokenSpec{Name: in.Name, Role: store.Role(in.Role), Tenant: in.Tenant, By: by.Name}
	if at := in.Expires; at != nil {
		if !at.After(time.Now()) {
			return spec, "", fmt.Errorf("token %s: %w: it expires at %s, which is over", spec.Name, store.ErrInvalid, at.Format(time.RFC3339))
		}
		spec.Expires = at.UTC()
	}
	if !in.Person {
		text, spec.Hash = access.NewToken(spec.Name)
	}
	return spec, text, spec.Validate() // before its names become keys
}

func (s *server) revokeToken(ctx context.Context, in *tokenPath) (*body[Deleted], error) {
	return s.remove(ctx, "token "+in.Token, func(ctx context.Context) (store.Revision, error) {
		key := store.TokenKey(in.Token)
		return s.Store.Remove(ctx, key, in.Token, match(ctx, key)...)
	})
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
