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

// TestStatusOfErrors covers the controller's own errors; store/httpstatus tests all of store's.
func TestStatusOfErrors(t *testing.T) {
	tests := []struct {
		err    error
		status int
	}{
		{store.ErrInvalid, http.StatusUnprocessableEntity},
		{store.ErrLimit, http.StatusForbidden},
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
