package api

import (
	"context"
	"time"

	"sluice/controller/client"
	"sluice/store"
)

func (s *server) showFailOver(context.Context, *struct{}) (*body[client.FailOver], error) {
	var is client.FailOver
	s.Controller.View(func(state *store.State) { is = failOverOf(state) })
	return &body[client.FailOver]{is}, nil
}

func failOverOf(state *store.State) client.FailOver {
	settings, _ := state.Settings()
	return client.FailOver{
		On: settings.FailOver, ByDefault: settings.FailOverByDefault, Note: state.LacksGatewayHosts(), NotProbed: state.NotProbed(),
		Interval: int(settings.ProbeEvery() / time.Millisecond),
	}
}

func (s *server) setFailOver(ctx context.Context, in *struct{ Body client.FailOver }) (*body[client.FailOver], error) {
	spec := store.FailOverSpec{On: in.Body.On, Interval: time.Duration(in.Body.Interval) * time.Millisecond}
	_, err := s.write(ctx, "fail-over", func(ctx context.Context) (store.Revision, error) {
		return s.Store.Decide(ctx, spec.Propose, spec.Needs()...)
	})
	if err != nil {
		return nil, err
	}
	return s.showFailOver(ctx, nil)
}
