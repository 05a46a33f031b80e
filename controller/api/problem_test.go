package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"sluice/controller/host"
	"sluice/store"
)

// TestStatusOfErrors names a status for every error that the packages below have.
func TestStatusOfErrors(t *testing.T) {
	tests := []struct {
		err    error
		status int
	}{
		{store.ErrInvalid, http.StatusBadRequest},
		{store.ErrNotFound, http.StatusNotFound},
		{store.ErrExists, http.StatusConflict},
		{store.ErrTaken, http.StatusConflict},
		{store.ErrExhausted, http.StatusConflict},
		{store.ErrLimit, http.StatusConflict},
		{store.ErrInUse, http.StatusConflict},
		{store.ErrNotAllowed, http.StatusConflict},
		{store.ErrConflict, http.StatusConflict},
		{store.ErrHostTaken, http.StatusConflict},
		{store.ErrHostGone, http.StatusConflict},
		{store.ErrUnavailable, http.StatusServiceUnavailable},
		{store.ErrNotRealized, http.StatusServiceUnavailable},
		{store.ErrLeaseLost, http.StatusServiceUnavailable},
		{context.DeadlineExceeded, http.StatusServiceUnavailable},
		{host.ErrNotConnected{Host: "h1"}, http.StatusServiceUnavailable},
		{host.ErrUnknown{Host: "h1"}, http.StatusNotFound},
		{errors.New("nobody thought of this"), http.StatusInternalServerError},
	}
	for _, test := range tests {
		if got := statusOf(fmt.Errorf("create tenant alice: %w", test.err)); got != test.status {
			t.Errorf("%v: status %d, not %d", test.err, got, test.status)
		}
	}
}
