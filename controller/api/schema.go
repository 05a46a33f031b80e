package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
	"sluice/store"
)

// Schema says who may write the store.
type Schema struct {
	Least  int `json:"least"`  // the least schema that a program writes which may write
	Writes int `json:"writes"` // the schema that the controller writes which answers
	// Away are registered hosts whose agents are not live: one that is older than Least will hold when it is back.
	Away []string `json:"away"`
}

// SchemaSpec says who may write the store from now on.
type SchemaSpec struct {
	Least int `json:"least"`
}

func (s *server) schema(a huma.API) {
	huma.Register(a, operation("show-schema", http.MethodGet, "/v1/schema", "status", "Show which versions may write the store", access.Look), s.showSchema)
	huma.Register(a, answered(operation("set-schema", http.MethodPost, "/v1/schema", "status",
		"Say which versions may write the store from now on", access.Rule)), s.setSchema)
}

func (s *server) showSchema(context.Context, *struct{}) (*body[Schema], error) {
	return &body[Schema]{s.schemaNow()}, nil
}

func (s *server) schemaNow() Schema {
	now := Schema{Writes: store.SchemaVersion, Away: []string{}}
	s.Controller.View(func(state *store.State) {
		now.Least = state.LeastSchema()
		for h := range state.Hosts() {
			if state.LiveHost(h.Key.Host) == nil {
				now.Away = append(now.Away, h.Key.Host)
			}
		}
	})
	return now
}

func (s *server) setSchema(ctx context.Context, in *struct{ Body SchemaSpec }) (*body[Schema], error) {
	request := func(state *store.State) (store.Proposal, error) { return store.ProposeSchema(state, in.Body.Least) }
	_, err := s.write(ctx, "schema", func(ctx context.Context) (store.Revision, error) {
		return s.Store.Decide(ctx, request, store.NeededForSchema()...)
	})
	if err != nil {
		return nil, err
	}
	return &body[Schema]{s.schemaNow()}, nil
}

// program is what this controller is.
func (s *server) program() store.Program {
	return store.Program{Version: s.Version, Schema: store.SchemaVersion}
}

// tooOld are the live agents and controllers that may not write. Those that know of schemas hold;
// those from before do not, and what they write may be misread.
func tooOld(state *store.State) (list store.Problems) {
	least := state.LeastSchema()
	note := func(key store.Key, p store.Program) {
		if why := p.TooOld(least); why != "" {
			list = append(list, store.ProblemOf(key, "%s", why))
		}
	}
	for c := range state.LiveControllers() {
		note(c.Key, c.Value.Program)
	}
	for h := range state.Hosts() {
		if live := state.LiveHost(h.Key.Host); live != nil {
			note(h.Key, live.Value.Program)
		}
	}
	return list
}

// Schema is which versions may write the store.
func (c *Client) Schema(ctx context.Context) (Schema, error) {
	return get[Schema](ctx, c, "/v1/schema", nil)
}

// SetSchema says which may from now on.
func (c *Client) SetSchema(ctx context.Context, least int) (Schema, error) {
	return do[Schema](ctx, c, http.MethodPost, "/v1/schema", SchemaSpec{Least: least})
}
