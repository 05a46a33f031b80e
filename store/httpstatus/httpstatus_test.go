package httpstatus

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/store"
)

// statuses are all of store's errors by the name that errors.go gives them.
var statuses = map[string]entry{
	"ErrInvalid":     {store.ErrInvalid, http.StatusUnprocessableEntity},
	"ErrNotFound":    {store.ErrNotFound, http.StatusNotFound},
	"ErrExists":      {store.ErrExists, http.StatusConflict},
	"ErrTaken":       {store.ErrTaken, http.StatusConflict},
	"ErrExhausted":   {store.ErrExhausted, http.StatusConflict},
	"ErrLimit":       {store.ErrLimit, http.StatusForbidden},
	"ErrInUse":       {store.ErrInUse, http.StatusConflict},
	"ErrNotAllowed":  {store.ErrNotAllowed, http.StatusForbidden},
	"ErrConflict":    {store.ErrConflict, http.StatusConflict},
	"ErrChanged":     {store.ErrChanged, http.StatusPreconditionFailed},
	"ErrNoHistory":   {store.ErrNoHistory, http.StatusGone},
	"ErrHostTaken":   {store.ErrHostTaken, http.StatusConflict},
	"ErrHostGone":    {store.ErrHostGone, http.StatusServiceUnavailable},
	"ErrNotRealized": {store.ErrNotRealized, http.StatusGatewayTimeout},
	"ErrUnavailable": {store.ErrUnavailable, http.StatusServiceUnavailable},
	"ErrLeaseLost":   {store.ErrLeaseLost, http.StatusServiceUnavailable},
	"ErrHeld":        {store.ErrHeld, http.StatusServiceUnavailable},
	"ErrUnreadable":  {store.ErrUnreadable, http.StatusInternalServerError},
}

// Every error variable of store's errors.go is in the list above, and has its status.
func TestEveryErrorHasAStatus(t *testing.T) {
	if diff := cmp.Diff(declared(t), slices.Sorted(maps.Keys(statuses))); diff != "" {
		t.Errorf("errors of store/errors.go (-), errors with a status in this test (+):\n%s", diff)
	}
	for name, want := range statuses {
		if got := Of(fmt.Errorf("create tenant alice: %w: choose another", want.err)); got != want.status {
			t.Errorf("%s: status %d, want %d", name, got, want.status)
		}
	}
	if len(table()) != len(statuses)+2 {
		t.Errorf("the table has %d errors, want store's %d and the context's 2", len(table()), len(statuses))
	}
}

// declared are the names of the variables in store's errors.go, sorted.
func declared(t *testing.T) (names []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for name, object := range file.Scope.Objects {
		if object.Kind == ast.Var && strings.HasPrefix(name, "Err") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func TestOtherErrors(t *testing.T) {
	waited := fmt.Errorf("port a1: %w (%w)", store.ErrNotRealized, context.DeadlineExceeded)
	away := fmt.Errorf("%w: etcd did not answer: %w", store.ErrUnavailable, context.DeadlineExceeded)
	limit := fmt.Errorf("%w, and taking it back failed: %w", store.ErrLimit, store.ErrUnavailable)
	for _, tc := range []entry{
		{context.DeadlineExceeded, http.StatusServiceUnavailable},
		{context.Canceled, http.StatusServiceUnavailable},
		{waited, http.StatusGatewayTimeout},
		{away, http.StatusServiceUnavailable},
		{limit, http.StatusForbidden},
		{errors.New("nobody thought of this"), http.StatusInternalServerError},
	} {
		if got := Of(tc.err); got != tc.status {
			t.Errorf("%v: status %d, want %d", tc.err, got, tc.status)
		}
	}
}
