package hostagent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"sluice/hostagent/api"
	"sluice/store/httpstatus"
)

// Bounds of a request: bytes of its body and header, and how long each of them may take to come.
const (
	maxRequest  = 1 << 20
	maxHeader   = 16 << 10
	requestTime = 5 * time.Second
	idleTime    = time.Minute // between two requests of one connection
)

// drainTimeout is how long attaches under way may take when the agent stops.
const drainTimeout = ownTimeout + undoTimeout

// listen opens the agent's socket. A socket file that nobody serves is replaced.
func listen(path string) (net.Listener, error) {
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		c.Close()
		return nil, fmt.Errorf("socket %s is in use by another agent", path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make the socket's directory: %w", err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove the stale socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on the agent's socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("protect the agent's socket: %w", err)
	}
	return l, nil
}

// serve answers until ctx ends, and then lets what is under way finish.
func (a *Agent) serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler: a.handler(), ReadHeaderTimeout: requestTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
	}
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(l) }()
	select {
	case err := <-stopped:
		return fmt.Errorf("serve the agent's socket: %w", err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := server.Shutdown(drain); err != nil {
		return fmt.Errorf("stop serving the agent's socket: %w", err)
	}
	return nil
}

func (a *Agent) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+api.PathPorts, func(w http.ResponseWriter, r *http.Request) {
		req, err := decode(w, r)
		if err != nil {
			answer(w, nil, err)
			return
		}
		attached, err := a.Attach(r.Context(), req)
		answer(w, attached, err)
	})
	mux.HandleFunc("GET "+api.PathPorts, func(w http.ResponseWriter, r *http.Request) {
		all, err := a.List(r.Context())
		answer(w, all, err)
	})
	const onePort = api.PathPorts + "/{tenant}/{network}/{name}"
	mux.HandleFunc("GET "+onePort, func(w http.ResponseWriter, r *http.Request) {
		one, err := a.Get(r.Context(), named(r))
		answer(w, one, err)
	})
	mux.HandleFunc("GET "+onePort+api.PathCheck, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		answer(w, nil, a.Check(r.Context(), api.CheckRequest{DetachRequest: named(r), NetNS: q.Get("netns"), IfName: q.Get("ifName")}))
	})
	mux.HandleFunc("DELETE "+onePort, func(w http.ResponseWriter, r *http.Request) {
		answer(w, nil, a.Detach(r.Context(), named(r)))
	})
	mux.HandleFunc("GET "+api.PathStatus, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, a.Status(), nil)
	})
	return mux
}

// decode reads an attach request within its bounds. The deadline goes when the request is there: one that
// passed during the attach would look as if its client had gone.
func decode(w http.ResponseWriter, r *http.Request) (req api.AttachRequest, err error) {
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Now().Add(requestTime)) // a test's writer has none
	defer func() { _ = connection.SetReadDeadline(time.Time{}) }()
	err = json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&req)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return req, api.NewProblem(http.StatusRequestEntityTooLarge, "the request has more than %d bytes", maxRequest)
	case err != nil:
		return req, api.NewProblem(http.StatusBadRequest, "the request is not valid JSON: %v", err)
	}
	return req, nil
}

func named(r *http.Request) api.DetachRequest {
	return api.DetachRequest{
		Tenant: r.PathValue("tenant"), Network: r.PathValue("network"), Name: r.PathValue("name"),
	}
}

// answer writes v, nothing, or err as a problem.
func answer(w http.ResponseWriter, v any, err error) {
	status := http.StatusOK
	switch {
	case err != nil:
		p := problem(err)
		w.Header().Set("Content-Type", api.ContentTypeProblem)
		status, v = p.Status, p
	case v == nil:
		w.WriteHeader(http.StatusNoContent)
		return
	default:
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that went away hears nothing
}

// problem is err for a client, its whole text as detail.
func problem(err error) *api.Problem { return api.NewProblem(statusOf(err), "%s", err) }

// statusOf is err's HTTP status; 500 where the agent does not know what went wrong.
func statusOf(err error) int {
	var p *api.Problem
	if errors.As(err, &p) {
		return p.Status
	}
	return httpstatus.Of(err)
}
