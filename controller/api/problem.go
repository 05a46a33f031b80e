package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/host"
	"sluice/store"
)

// refuse turns an error into a problem document with the error's own text.
func (s *server) refuse(err error) error {
	status := statusOf(err)
	if status == http.StatusInternalServerError {
		s.Log.Error("request failed", "err", err)
	}
	return huma.NewError(status, err.Error())
}

// statusOf is the HTTP status of an error of the packages below.
func statusOf(err error) int {
	for status, kinds := range statuses() {
		for _, kind := range kinds {
			if errors.Is(err, kind) {
				return status
			}
		}
	}
	var away host.ErrNotConnected
	var unknown host.ErrUnknown
	switch {
	case errors.As(err, &away):
		return http.StatusServiceUnavailable
	case errors.As(err, &unknown):
		return http.StatusNotFound
	}
	return http.StatusInternalServerError
}

// statuses sorts the store's errors by whose fault they are: the request's, the state's, or
// that of a part which is away.
func statuses() map[int][]error {
	return map[int][]error{
		http.StatusBadRequest: {store.ErrInvalid},
		http.StatusNotFound:   {store.ErrNotFound},
		http.StatusConflict: {
			store.ErrExists, store.ErrTaken, store.ErrExhausted, store.ErrLimit, store.ErrInUse,
			store.ErrNotAllowed, store.ErrConflict, store.ErrHostTaken, store.ErrHostGone,
		},
		http.StatusServiceUnavailable: {
			store.ErrUnavailable, store.ErrNotRealized, store.ErrLeaseLost, context.DeadlineExceeded, context.Canceled,
		},
	}
}

// absent is the answer about an object that does not exist.
func absent(what, name, list string) error {
	return huma.Error404NotFound(what + " " + name + " does not exist: see sluice " + list)
}

// unseen explains why what was just created cannot be shown, where that is so.
func unseen(err error, what, name string, rev store.Revision) error {
	if err == nil {
		return nil
	}
	return huma.Error503ServiceUnavailable(fmt.Sprintf(
		"%s %s was created at revision %d, but this controller has not seen it yet: see sluice status", what, name, rev))
}

// malformed is the answer to a request that nobody could fulfil.
func malformed(text string) error { return huma.Error400BadRequest(text) }
