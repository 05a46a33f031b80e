package web

import (
	"context"
	"slices"
	"sluice/controller/client"
)

// happenedShown bounds the events that a page shows.
const happenedShown = 8

// happened is what happened last, the latest first.
func (s *site) happened(ctx context.Context, f client.EventFilter) ([]client.Happened, error) {
	list, err := s.api.Events(ctx, f, happenedShown)
	slices.Reverse(list)
	return list, err
}
