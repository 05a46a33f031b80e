package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestPatiently(t *testing.T) {
	away := errors.New("agent at /run/x: connection refused")
	notReady, taken, unknown := NewProblem(http.StatusServiceUnavailable, "not ready"), NewProblem(http.StatusConflict, "taken"), NewProblem(http.StatusNotFound, "unknown")
	for _, x := range []struct {
		name    string
		answers []error // the last is repeated
		asked   int
		says    string
	}{
		{"at once", []error{nil}, 1, ""},
		{"it starts", []error{away, notReady, nil}, 3, ""},
		{"refused for good", []error{unknown}, 1, "unknown"},
		{"taken", []error{taken}, 1, "taken"},
		{"taken by the try that broke off, which is undone", []error{away, taken, taken, nil}, 4, ""},
		{"taken, though nothing broke off", []error{notReady, taken}, 2, "taken"},
		{"no right to ask", []error{fmt.Errorf("dial: %w", fs.ErrPermission)}, 1, "permission"},
		{"the caller's time is over", []error{fmt.Errorf("dial: %w", context.DeadlineExceeded)}, 1, "deadline"},
		{"the caller gave up", []error{fmt.Errorf("dial: %w", context.Canceled)}, 1, "canceled"},
		{"away for good", []error{away}, 5, "connection refused; waited 1s for it"},
	} {
		synctest.Test(t, func(t *testing.T) {
			asked := 0
			err := Patiently(t.Context(), time.Second, func(context.Context) error {
				asked++
				return x.answers[min(asked, len(x.answers))-1]
			})
			if asked != x.asked || (err == nil) != (x.says == "") || err != nil && !strings.Contains(err.Error(), x.says) {
				t.Errorf("%s: asked %d times, error %v; want %d times and %q", x.name, asked, err, x.asked, x.says)
			}
		})
	}
}

// Who is told to stop does not ask again.
func TestPatientlyUntilTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		asked := 0
		err := Patiently(ctx, time.Minute, func(context.Context) error {
			asked++
			cancel()
			return errors.New("away")
		})
		if asked != 1 || err == nil {
			t.Errorf("asked %d times, error %v", asked, err)
		}
	})
}

func TestPortName(t *testing.T) {
	for _, x := range []struct {
		name  string
		label bool
		want  string
	}{
		{"web", true, "web-4bf5122f"},
		{"web-1", true, "web-1-4bf5122f"},
		{"Web.One_2", false, "web-one-2-4bf5122f"},
		{"-web-", false, "web-4bf5122f"},
		{"", false, "4bf5122f"},
		{strings.Repeat("a", 63), true, strings.Repeat("a", 50) + "-4bf5122f"},
		{strings.Repeat("a", 64), false, strings.Repeat("a", 50) + "-4bf5122f"},
	} {
		if got := PortName(x.name, "\x01"); got != x.want || IsLabel(x.name) != x.label {
			t.Errorf("%q: port %q, label %v; want %q, %v", x.name, got, IsLabel(x.name), x.want, x.label)
		}
	}
}
