package hostagent

import (
	"context"
	"time"
)

// A keeper keeps one thing of this host's kernel or switch as it should be. Each is tried
// apart from the others and has a problem of its own in Status, under its name.
type keeper struct {
	name string

	// needs are the keepers without which this one would fail too. While one of them is not
	// right this one is not tried, and Status shows the other's problem alone. One that must
	// touch nothing before etcd has said what this host should have needs nameRegistration, or
	// nameTenantsKnown where an agent before this one may have been told;
	// all others must be right once before the host registers.
	needs names
	// after are the keepers whose work this one uses: it is not tried before each of them has
	// been right once. What was made stays, so that their later failures do not stop this one.
	after names

	// aside says that the host registers also while this one fails, though it needs no registration.
	aside bool

	try func(context.Context) error // its three steps, see keep

	// wait returns when the next try is due, after one that succeeded. Nil: the keeper is tried
	// in the mend loop, in the order of the list.
	wait func(context.Context)
	// limit is what one try may take; 0: stepTimeout.
	limit time.Duration
}

// steps are the three steps of every keeper. S says what should be, I what is.
type steps[S, I any] interface {
	// is reads what is, and changes nothing. It comes first: what another makes between the
	// two readings is then at most known to should, and never taken for something that
	// should not be.
	is(context.Context) (I, error)
	// should says what should be.
	should(context.Context) (S, error)
	// makeSo changes what differs and nothing that is right. Where it fails half way, the
	// next try goes on from what is then.
	makeSo(context.Context, S, I) error
}

// keep joins the three steps into one try.
func keep[S, I any](k steps[S, I]) func(context.Context) error {
	return func(ctx context.Context) error {
		is, err := k.is(ctx)
		if err != nil {
			return err
		}
		should, err := k.should(ctx)
		if err != nil {
			return err
		}
		return k.makeSo(ctx, should, is)
	}
}

const (
	// stepTimeout bounds one try, so that a hung switch blocks no other keeper for good.
	stepTimeout = 30 * time.Second
	// peersTimeout bounds one try of the tunnel peers: there may be many, and some are down.
	peersTimeout = 5 * time.Minute
)
