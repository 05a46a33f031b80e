package access

import (
	"context"
	"errors"
	"net/http"
)

// At WatchPath and EventsWatchPath an answer goes on for as long as somebody reads it. No request there is cut after a time,
// and they are counted apart. Their routes ask Still while it goes on, and end when Ending says so.
const (
	WatchPath       = "/v1/watch"
	EventsWatchPath = "/v1/events/watch"
)

func isWatch(r *http.Request) bool {
	return (r.URL.Path == WatchPath || r.URL.Path == EventsWatchPath) && isSafe(r.Method)
}

type stillKey struct{}

// Still says why whoever made a request, of which ctx is the context, could not make it now: their token was revoked
// or expired, or means somebody else.
func Still(ctx context.Context) error {
	if still, ok := ctx.Value(stillKey{}).(func() error); ok {
		return still()
	}
	return nil
}

// still is why the caller of a request is not who they were.
func (a *authority) still(r *http.Request, was Caller) error {
	now, err := a.who(r)
	if err == nil && now != was {
		err = errors.New("the token means somebody else now")
	}
	return err
}

type endingKey struct{}

// ending is the context that requests of a server begin with, which ends with ctx. They go on after that for a
// moment, but for those that would go on for long.
func ending(ctx context.Context) context.Context {
	return context.WithValue(context.WithoutCancel(ctx), endingKey{}, ctx.Done())
}

// Ending is closed when the server ends to which a request was made, of which ctx is the context.
func Ending(ctx context.Context) <-chan struct{} {
	done, _ := ctx.Value(endingKey{}).(<-chan struct{})
	return done
}
