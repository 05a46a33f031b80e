package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"sluice/controller"
	"sluice/store/etcd"
)

// TestStatusOfErrors names a status for every error that the packages below have.
func TestStatusOfErrors(t *testing.T) {
	tests := []struct {
		err    error
		status int
	}{
		{etcd.ErrInvalid, http.StatusBadRequest},
		{etcd.ErrNotFound, http.StatusNotFound},
		{etcd.ErrExists, http.StatusConflict},
		{etcd.ErrTaken, http.StatusConflict},
		{etcd.ErrExhausted, http.StatusConflict},
		{etcd.ErrLimit, http.StatusConflict},
		{etcd.ErrInUse, http.StatusConflict},
		{etcd.ErrNotAllowed, http.StatusConflict},
		{etcd.ErrConflict, http.StatusConflict},
		{etcd.ErrHostTaken, http.StatusConflict},
		{etcd.ErrHostGone, http.StatusConflict},
		{etcd.ErrUnavailable, http.StatusServiceUnavailable},
		{etcd.ErrNotRealized, http.StatusServiceUnavailable},
		{etcd.ErrLeaseLost, http.StatusServiceUnavailable},
		{context.DeadlineExceeded, http.StatusServiceUnavailable},
		{controller.ErrNotConnected{Host: "h1"}, http.StatusServiceUnavailable},
		{controller.ErrUnknownHost{Host: "h1"}, http.StatusNotFound},
		{errors.New("nobody thought of this"), http.StatusInternalServerError},
	}
	for _, test := range tests {
		if got := statusOf(fmt.Errorf("create tenant alice: %w", test.err)); got != test.status {
			t.Errorf("%v: status %d, not %d", test.err, got, test.status)
		}
	}
}
