package hostagent

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// maxPause bounds the pause between two tries.
const maxPause = 5 * time.Second

// newPauses starts with short pauses, which grow to maxPause.
func newPauses() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval = 100 * time.Millisecond
	b.MaxInterval = maxPause
	return b
}

// retry calls try until it succeeds, ctx ends, or the error is backoff.Permanent. What
// fails is reported under the name what.
func (p *problems) retry(ctx context.Context, what string, try func() error) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := try()
		p.report(what, err)
		return struct{}{}, err
	}, backoff.WithBackOff(newPauses()), backoff.WithMaxElapsedTime(0))
	return err
}
