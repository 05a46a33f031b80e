package api

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
	"sluice/controller/client"
	"sluice/store"
)

// tokenStore writes tokens, which need no requests of their own.
type tokenStore interface {
	Decide(ctx context.Context, request func(*store.State) (store.Proposal, error), needs ...string) (store.Revision, error)
	Remove(ctx context.Context, key store.Key, name string, presumed ...store.Presumption) (store.Revision, error)
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

func (s *server) listTokens(_ context.Context, in *client.PageQuery) (*page[client.Token], error) {
	return listing(s, store.KindToken, *in, tokenKeys, func(state *store.State, key store.Key) (client.Token, bool) {
		t := state.Token(key.Name)
		if t == nil {
			return client.Token{}, false
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

func (s *server) showToken(ctx context.Context, in *tokenPath) (*tagged[client.Token], error) {
	var shown *client.Token
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
func tokenOf(state *store.State, t *store.Item[store.Token]) client.Token {
	shown := client.Token{
		Name: t.Key.Name, Role: t.Value.Role, Tenant: t.Value.Tenant, Person: t.Value.Person, By: t.Value.By, Created: t.Created, Modified: t.Modified,
		Valid: access.IsValid(state, t.Value, time.Now()),
	}
	if !t.Value.Expires.IsZero() {
		shown.Expires = &t.Value.Expires
	}
	return shown
}

func (s *server) createToken(ctx context.Context, in *struct{ Body client.TokenSpec }) (*body[client.NewToken], error) {
	made := &body[client.NewToken]{}
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
func tokenSpec(in client.TokenSpec, by access.Caller) (spec store.TokenSpec, text string, err error) {
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

func (s *server) revokeToken(ctx context.Context, in *tokenPath) (*body[client.Deleted], error) {
	return s.remove(ctx, "token "+in.Token, func(ctx context.Context) (store.Revision, error) {
		key := store.TokenKey(in.Token)
		return s.Store.Remove(ctx, key, in.Token, match(ctx, key)...)
	})
}
