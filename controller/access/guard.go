package access

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"sluice/store"
)

// Options are what a Guard stands on.
type Options struct {
	View   func(func(*store.State)) // reads the state, which holds the tokens
	Loaded <-chan struct{}          // closed once the state is there
	Local  *LocalToken              // the controller's own; nil: there is none
	Hosts  []string                 // names of this controller, besides its addresses
	Audit  *slog.Logger             // gets a line for every write and every refusal
	Log    *slog.Logger
	// Written is told of each write that was done, and who did it; nil: nobody is. It must not wait.
	Written func(Caller, Entry)
}

// Guard stands before the routes of an API.
type Guard struct {
	names     names
	authority authority
	audit     *audit
	crowd     *crowd
	watchers  *crowd
	log       *slog.Logger
}

// New makes a guard.
func New(o Options) *Guard {
	g := &Guard{
		authority: authority{view: o.View, loaded: o.Loaded, local: o.Local},
		audit:     newAudit(o), log: o.Log,
		crowd: newCrowd(atOnce, atOnceEach, "requests are worked on"), watchers: newCrowd(watchersAtOnce, watchersAtOnceEach, "watches last already"),
	}
	for _, name := range o.Hosts {
		g.names = append(g.names, strings.ToLower(name))
	}
	return g
}

// requestTime bounds how long a request may be worked on.
const requestTime = time.Minute

// Before lets those requests through to next that were meant for this controller, says in their
// context who asks, and writes their lines of the audit log. It answers for the others. What next
// needs of a caller it asks with Check.
func (g *Guard) Before(next http.Handler) http.Handler {
	elsewhere := http.NewCrossOriginProtection()
	elsewhere.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		Refuse(w, http.StatusForbidden, errors.New("a page of another site asked for this"))
	}))
	next = elsewhere.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, unknown := g.authority.who(r)
		g.within(w, r, caller, func(w http.ResponseWriter, r *http.Request) {
			if status, err := g.look(r); err != nil {
				Refuse(w, status, err)
				return
			}
			if status, err := readBody(w, r, caller); err != nil {
				Refuse(w, status, err)
				return
			}
			ctx := context.WithValue(r.Context(), unknownKey{}, unknown)
			next.ServeHTTP(w, r.WithContext(context.WithValue(ctx, stillKey{}, func() error { return g.authority.still(r, caller) })))
		})
	})
}

// Beside lets all requests through to next, which asks by itself who they are, within the same bounds
// and with the same lines in the audit log.
func (g *Guard) Beside(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller := Caller{Name: "somebody new"}
		if who, ok := certified(r); ok {
			caller.Name = who.String()
		}
		g.within(w, r, caller, next.ServeHTTP)
	})
}

// within answers a request by do, which knows from the context who asks, within bounds, and writes
// its line of the audit log.
func (g *Guard) within(w http.ResponseWriter, r *http.Request, c Caller, do http.HandlerFunc) {
	answer, entry := &recorder{ResponseWriter: w}, &Entry{}
	defer func() { g.audit.note(r, c, entry, answer.status) }()
	defer g.recover(answer, r)
	crowd, ctx, cancel := g.crowd, with(r.Context(), c), func() {}
	if isWatch(r) {
		crowd = g.watchers
	} else {
		ctx, cancel = context.WithTimeout(ctx, requestTime)
	}
	defer cancel()
	leave, err := crowd.enter(c.Name)
	if err != nil {
		w.Header().Set("Retry-After", "1")
		Refuse(answer, http.StatusTooManyRequests, err)
		return
	}
	defer leave()
	do(answer, r.WithContext(context.WithValue(ctx, entryKey{}, entry)))
}

// recover keeps a mistake in one route from ending more than its request.
func (g *Guard) recover(answer *recorder, r *http.Request) {
	mistake := recover()
	if mistake == nil {
		return
	}
	if err, ok := mistake.(error); ok && errors.Is(err, http.ErrAbortHandler) { // says that the connection is to be closed
		panic(mistake)
	}
	g.log.Error("request failed", "method", r.Method, "path", r.URL.Path, "err", fmt.Sprint(mistake))
	if answer.status == 0 {
		Refuse(answer, http.StatusInternalServerError, errors.New("the controller made a mistake: its log says which"))
	}
}

// look says what is wrong with a request whoever made it.
func (g *Guard) look(r *http.Request) (status int, err error) {
	if r.Host == "" {
		return http.StatusBadRequest, errors.New("the header Host is missing")
	}
	if err := g.names.check(r); err != nil {
		return http.StatusForbidden, err
	}
	if path.Clean(r.URL.Path) != r.URL.Path { // a proxy may take it for another path than this server does
		return http.StatusBadRequest, errors.New("the path is not written as this API's paths are: without empty parts and dots")
	}
	if _, err := url.ParseQuery(r.URL.RawQuery); err != nil {
		return http.StatusBadRequest, fmt.Errorf("the query: %w", err)
	}
	return checkContent(r)
}

// These paths take forms, as browsers send them; all else takes JSON.
const (
	LoginPath  = "/login"
	LogoutPath = "/logout"
)

// checkContent refuses what is not JSON, but for forms that a page of the controller sends: one of another site's page
// is sent without asking.
func checkContent(r *http.Request) (status int, err error) {
	kind := r.Header.Get("Content-Type")
	if isSafe(r.Method) || kind == "" && r.ContentLength == 0 {
		return 0, nil
	}
	want := "application/json"
	if r.URL.Path == LoginPath || r.URL.Path == LogoutPath || isForm(r) {
		want = "application/x-www-form-urlencoded"
	}
	if got, _, err := mime.ParseMediaType(kind); err != nil || got != want {
		return http.StatusUnsupportedMediaType, fmt.Errorf("the header Content-Type is to be %s", want)
	}
	return 0, nil
}

// Bounds of a request's body.
const (
	maxBody  = 1 << 20 // bytes
	bodyTime = 5 * time.Second
)

// readBody reads the whole body of somebody who is known, so that what is wrong with how it comes is
// not taken for a mistake of the route that reads it. A form is read by its own route.
func readBody(w http.ResponseWriter, r *http.Request, c Caller) (status int, err error) {
	if c.Role == "" {
		return 0, nil // the server's own deadline holds
	}
	connection := http.NewResponseController(w)
	// A deadline that passes while the request is worked on would end it: the server reads on, to hear
	// when the client leaves. Where a deadline cannot be set the server's own holds.
	defer func() { _ = connection.SetReadDeadline(time.Time{}) }()
	if isSafe(r.Method) || r.ContentLength == 0 {
		return 0, nil
	}
	_ = connection.SetReadDeadline(time.Now().Add(bodyTime))
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge, fmt.Errorf("the body has more than %d bytes", maxBody)
	case err != nil:
		return http.StatusBadRequest, fmt.Errorf("the body did not come whole: %w", err)
	}
	r.Body = io.NopCloser(bytes.NewReader(b))
	return 0, nil
}

type unknownKey struct{}

// Check says why the caller of a request, of which ctx is the context, does not meet a need, and
// the status of that answer.
func Check(ctx context.Context, n Need) (status int, err error) {
	unknown, _ := ctx.Value(unknownKey{}).(error)
	switch {
	case errors.Is(unknown, errNotLoaded):
		return http.StatusServiceUnavailable, unknown
	case unknown != nil:
		return http.StatusUnauthorized, unknown
	}
	if err := refusal(From(ctx), n); err != nil {
		return http.StatusForbidden, err
	}
	return 0, nil
}

// Require lets those through to next that meet a need.
func Require(n Need, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status, err := Check(r.Context(), n); err != nil {
			Refuse(w, status, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Challenge is the header WWW-Authenticate of an answer 401.
const Challenge = `Bearer realm="sluice"`

// Refuse answers with a problem document (RFC 9457).
func Refuse(w http.ResponseWriter, status int, err error) {
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", Challenge)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"title": http.StatusText(status), "status": status, "detail": err.Error()})
}

// recorder notes the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes the status, of which the first counts.
func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write notes that an answer without a status is 200.
func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
