// Package httpstatus is the one table from store's errors to HTTP statuses: the controller
// and the agent answer with it, so that a client reads the same status from both.
//
// It must never depend on anything but store, and decides nothing else about an answer.
package httpstatus

import (
	"context"
	"errors"
	"net/http"

	"sluice/store"
)

// entry gives an error its status.
type entry struct {
	err    error
	status int
}

// table is in the order of preference: an error that wraps several of these has the status
// of the first. A wait that ran out of time, for instance, is "not realized" before it is
// "deadline exceeded".
func table() []entry {
	return []entry{
		{store.ErrInvalid, http.StatusUnprocessableEntity},
		{store.ErrNotFound, http.StatusNotFound},
		{store.ErrExists, http.StatusConflict},
		{store.ErrTaken, http.StatusConflict},
		{store.ErrConflict, http.StatusConflict},
		{store.ErrChanged, http.StatusPreconditionFailed},
		{store.ErrNoHistory, http.StatusGone},
		{store.ErrExhausted, http.StatusConflict},
		{store.ErrInUse, http.StatusConflict},
		{store.ErrHostTaken, http.StatusConflict},
		{store.ErrLimit, http.StatusForbidden},
		{store.ErrNotAllowed, http.StatusForbidden},
		{store.ErrUnavailable, http.StatusServiceUnavailable},
		{store.ErrHostGone, http.StatusServiceUnavailable},
		{store.ErrLeaseLost, http.StatusServiceUnavailable},
		{store.ErrHeld, http.StatusServiceUnavailable},
		{store.ErrUnreadable, http.StatusInternalServerError},
		{store.ErrNotRealized, http.StatusGatewayTimeout},
		{context.DeadlineExceeded, http.StatusServiceUnavailable},
		{context.Canceled, http.StatusServiceUnavailable},
	}
}

// Of is the HTTP status of an error: 500 where the table does not know it.
func Of(err error) int {
	for _, e := range table() {
		if errors.Is(err, e.err) {
			return e.status
		}
	}
	return http.StatusInternalServerError
}
