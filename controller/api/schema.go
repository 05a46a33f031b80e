package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
	"sluice/controller/client"
	"sluice/store"
)

func (s *server) schema(a huma.API) {
	huma.Register(a, conditional(operation("show-schema", http.MethodGet, "/v1/schema", "status", "Show which versions may write the store", access.Look)), s.showSchema)
	huma.Register(a, conditional(answered(operation("set-schema", http.MethodPost, "/v1/schema", "status",
		"Say which versions may write the store from now on", access.Rule))), s.setSchema)
}

func (s *server) showSchema(ctx context.Context, _ *struct{}) (*tagged[client.Schema], error) {
	now := s.schemaNow()
	return show(ctx, now.Modified, now)
}

func (s *server) schemaNow() client.Schema {
	now := client.Schema{Writes: store.SchemaVersion, Away: []string{}}
	s.Controller.View(func(state *store.State) {
		now.Least, now.Modified = state.LeastSchema(), state.SchemaModified()
		for h := range state.Hosts() {
			if state.LiveHost(h.Key.Host) == nil {
				now.Away = append(now.Away, h.Key.Host)
			}
		}
	})
	return now
}

func (s *server) setSchema(ctx context.Context, in *struct{ Body client.SchemaSpec }) (*tagged[client.Schema], error) {
	request := func(state *store.State) (store.Proposal, error) { return store.ProposeSchema(state, in.Body.Least) }
	_, err := s.write(ctx, "schema", func(ctx context.Context) (store.Revision, error) {
		return s.Store.Decide(ctx, store.Presuming(request, match(ctx, store.SchemaKey())...), store.NeededForSchema()...)
	})
	if err != nil {
		return nil, err
	}
	return s.showSchema(ctx, nil)
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
