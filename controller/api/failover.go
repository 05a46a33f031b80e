package api

import (
	"context"
	"time"

	"sluice/controller/client"
	"sluice/store"
)

func (s *server) showFailOver(ctx context.Context, _ *struct{}) (*tagged[client.FailOver], error) {
	var is client.FailOver
	s.Controller.View(func(state *store.State) { is = failOverOf(state) })
	return show(ctx, is.Modified, is)
}

func failOverOf(state *store.State) client.FailOver {
	settings, modified := state.Settings()
	return client.FailOver{
		On: settings.FailOver, ByDefault: settings.FailOverByDefault, Note: state.LacksGatewayHosts(), NotProbed: state.NotProbed(),
		Interval: int(settings.ProbeEvery() / time.Millisecond), Modified: modified,
	}
}

func (s *server) setFailOver(ctx context.Context, in *struct{ Body client.FailOver }) (*tagged[client.FailOver], error) {
	spec := store.FailOverSpec{On: in.Body.On, Interval: time.Duration(in.Body.Interval) * time.Millisecond}
	_, err := s.write(ctx, "fail-over", func(ctx context.Context) (store.Revision, error) {
		return s.Store.Decide(ctx, store.Presuming(spec.Propose, match(ctx, store.SettingsKey())...), spec.Needs()...)
	})
	if err != nil {
		return nil, err
	}
	return s.showFailOver(ctx, nil)
}
