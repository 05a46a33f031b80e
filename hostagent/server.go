package hostagent

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"sluice/hostagent/api"
	"sluice/hostagent/socket"
	"sluice/store/httpstatus"
)

// Bounds of a request's body: bytes, and how long it may take to come.
const (
	maxRequest  = 1 << 20
	requestTime = 5 * time.Second
)

// drainTimeout is how long attaches under way may take when the agent stops.
const drainTimeout = ownTimeout + undoTimeout

// serve answers until ctx ends, and then lets what is under way finish.
func (a *Agent) serve(ctx context.Context, l net.Listener) error {
	return socket.Serve(ctx, l, a.handler(), drainTimeout)
}

func (a *Agent) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+api.PathPorts, func(w http.ResponseWriter, r *http.Request) {
		req, err := decode[api.AttachRequest](w, r)
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
		req := named(r)
		req.ContainerID, req.Interface = r.URL.Query().Get("containerID"), r.URL.Query().Get("interface")
		answer(w, nil, a.Detach(r.Context(), req))
	})
	mux.HandleFunc("POST "+api.PathReservations, func(w http.ResponseWriter, r *http.Request) {
		req, err := decode[api.ReserveRequest](w, r)
		if err != nil {
			answer(w, nil, err)
			return
		}
		reserved, err := a.Reserve(r.Context(), req)
		answer(w, reserved, err)
	})
	mux.HandleFunc("DELETE "+api.PathReservations+"/{tenant}/{network}/{address}", func(w http.ResponseWriter, r *http.Request) {
		answer(w, nil, a.Unreserve(r.Context(), api.UnreserveRequest{
			Tenant: r.PathValue("tenant"), Network: r.PathValue("network"), Address: r.PathValue("address"),
		}))
	})
	mux.HandleFunc("GET "+api.PathNetworks+"/{tenant}", func(w http.ResponseWriter, r *http.Request) {
		all, err := a.Networks(r.Context(), r.PathValue("tenant"))
		answer(w, all, err)
	})
	mux.HandleFunc("GET "+api.PathStatus, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, a.Status(), nil)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		answer(w, nil, api.NewProblem(http.StatusNotImplemented, "this agent has no %s %s: %s", r.Method, r.URL.Path, otherVersion))
	})
	return mux
}

// otherVersion is what a request means that this agent does not know: half of it is not done.
const otherVersion = "who asks is of another version than the agent that runs; restart the agent after an upgrade (systemctl restart sluice-agent)"

// decode reads a request within its bounds. The deadline goes when the request is there: one that
// passed during the attach would look as if its client had gone.
func decode[T any](w http.ResponseWriter, r *http.Request) (req T, err error) {
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Now().Add(requestTime)) // a test's writer has none
	defer func() { _ = connection.SetReadDeadline(time.Time{}) }()
	from := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
	from.DisallowUnknownFields()
	err = from.Decode(&req)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return req, api.NewProblem(http.StatusRequestEntityTooLarge, "the request has more than %d bytes", maxRequest)
	case err != nil && strings.Contains(err.Error(), "unknown field"):
		return req, api.NewProblem(http.StatusNotImplemented, "the request has an %s: %s", strings.TrimPrefix(err.Error(), "json: "), otherVersion)
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
