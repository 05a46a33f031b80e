package lead

import (
	"context"
	"errors"
	"time"

	"sluice/store"
)

// stampInterval is how often the leader adds a stamp to the store's chain: who saw it knows
// later whether the store went back to before then.
const stampInterval = time.Minute

// stampTime bounds one try; the next is due a minute later.
const stampTime = 5 * time.Second

// stamp adds a stamp to the store's chain, if this controller leads. Where another controller,
// which leads by now, was faster, that one's does.
func (l *Leader) stamp(ctx context.Context) {
	if !l.Leads() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, stampTime)
	defer cancel()
	if err := l.Store.ExtendChain(ctx); err != nil && !errors.Is(err, store.ErrConflict) && !errors.Is(err, context.Canceled) {
		l.Log.Warn("cannot stamp the store, trying again in a minute", "err", err)
	}
}
