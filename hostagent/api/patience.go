package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"time"
)

// How long a runtime's call waits for an agent that is away or not ready: while it starts, is upgraded, or
// has not joined yet.
const (
	AttachPatience = 20 * time.Second
	DetachPatience = 5 * time.Second
)

// look is the pause between two tries.
const look = 250 * time.Millisecond

// Patiently asks again while the agent is away or not ready, for as long as patience. The error is then
// the last one, with how long it waited. What else fails, fails at once.
func Patiently(ctx context.Context, patience time.Duration, ask func(context.Context) error) error {
	began, broken := time.Now(), false
	for {
		err := ask(ctx)
		if err == nil || !mayPass(err, broken) {
			return err
		}
		broken = broken || isAway(err)
		if waited := time.Since(began); waited >= patience {
			return fmt.Errorf("%w; waited %s for it", err, waited.Round(time.Second))
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(look):
		}
	}
}

// mayPass reports whether a later try may succeed. An agent that ended while it worked on a try undoes it
// at its next start: until then what is asked for is taken, by that try.
func mayPass(err error, broken bool) bool {
	return isAway(err) || hasStatus(err, http.StatusServiceUnavailable) || broken && IsConflict(err)
}

// isAway reports whether nobody answered whom this process may ask.
func isAway(err error) bool {
	var p *Problem
	return !errors.As(err, &p) && !errors.Is(err, fs.ErrPermission) &&
		!errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}
