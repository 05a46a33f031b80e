package access

import (
	"context"
	"log/slog"
	"net/http"
	"sync"

	"golang.org/x/time/rate"

	"sluice/store"
)

// Entry is one line of the audit log. Who serves a write fills in what only it knows.
type Entry struct {
	Object   string         // such as "tenant alice"; empty: none was told
	Revision store.Revision // of etcd, at which it was written; 0: nothing was
	// Operation is what was asked for, such as "create-tenant". The path says it to the log.
	Operation string
}

type entryKey struct{}

// EntryOf is the line that will be written of a request; what is set in it is told. It is never nil.
func EntryOf(ctx context.Context) *Entry {
	if e, ok := ctx.Value(entryKey{}).(*Entry); ok {
		return e
	}
	return &Entry{}
}

// How many lines a second refusals may make: somebody who tries tokens must not fill the disk. Lines
// that were left out are counted in the next one.
const (
	refusalsPerSecond = 10
	refusalsAtOnce    = 100
)

// audit writes a line for every write, and for every refusal within bounds.
type audit struct {
	log     *slog.Logger
	written func(Caller, Entry) // is told of what was written; nil: nobody is

	mu      sync.Mutex
	limit   *rate.Limiter
	omitted int
}

func newAudit(o Options) *audit {
	return &audit{log: o.Audit, written: o.Written, limit: rate.NewLimiter(refusalsPerSecond, refusalsAtOnce)}
}

// matters reports whether a request is told: a write of somebody who is known, and whatever was
// refused for who asked it, from where, or how often.
func matters(method string, c Caller, status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests:
		return true
	}
	return !isSafe(method) && c.Name != ""
}

// longestPath bounds what a line shows of a path, in bytes.
const longestPath = 256

// note writes the line of a request that was answered, if it is to be told.
func (a *audit) note(r *http.Request, c Caller, e *Entry, status int) {
	if !matters(r.Method, c, status) {
		return
	}
	outcome, omitted := "done", 0
	if status >= http.StatusBadRequest {
		var told bool
		if told, omitted = a.admit(); !told {
			return
		}
		outcome = "refused"
	}
	if status >= http.StatusInternalServerError {
		outcome = "failed"
	}
	path := r.URL.EscapedPath()
	args := []any{
		"who", c.Name, "role", c.Role, "from", r.RemoteAddr, "method", r.Method, "path", path[:min(len(path), longestPath)],
		"object", e.Object, "outcome", outcome, "status", status, "rev", e.Revision,
	}
	if c.Tenant != "" {
		args = append(args, "tenant", c.Tenant)
	}
	if outcome == "done" && e.Revision > 0 && a.written != nil {
		a.written(c, *e)
	}
	if omitted > 0 {
		args = append(args, "omitted", omitted)
	}
	a.log.Info("audit", args...)
}

// admit reports whether one more refusal is told, and how many were not since the last that was.
func (a *audit) admit() (told bool, omitted int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.limit.Allow() {
		a.omitted++
		return false, 0
	}
	omitted, a.omitted = a.omitted, 0
	return true, omitted
}
