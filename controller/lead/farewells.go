package lead

import (
	"context"
	"fmt"
	"slices"
	"time"

	"sluice/store"
)

// farewellInterval is how often the leader looks for farewells that nobody waits for any more.
const farewellInterval = 6 * time.Hour

// forgetFarewells removes the farewells to machines that did not come back, if this controller leads,
// and etcd holds the store that it serves.
func (l *Leader) forgetFarewells(ctx context.Context) {
	if _, right := l.Store.Trusted(); !right || !l.Leads() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tidyInterval)
	defer cancel()
	if err := l.forgetSpent(ctx); err != nil && ctx.Err() == nil {
		l.Log.Warn("cannot forget farewells, trying again later", "err", err)
	}
}

// forgetSpent removes farewells that waited for long enough, once no switch can hold a flow of what
// the host had when it was deleted.
func (l *Leader) forgetSpent(ctx context.Context) error {
	list, _, err := l.Store.List(ctx, store.KindFarewell)
	if err != nil {
		return fmt.Errorf("list farewells: %w", err)
	}
	now := time.Now()
	list = slices.DeleteFunc(list, func(e store.Event) bool { return !e.Object.(*store.Farewell).Spent(now) })
	if len(list) == 0 {
		return nil
	}
	realized, err := l.Store.RealizedEverywhere(ctx)
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(e store.Event) bool { return e.Modified > realized })
	hosts, err := l.Store.ForgetFarewells(ctx, list)
	for _, host := range hosts {
		l.Log.Info("forgot the farewell to a host that did not come back", "host", host)
	}
	return err
}
