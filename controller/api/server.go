package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/semaphore"

	"sluice/controller/access"
	"sluice/controller/changes"
	"sluice/controller/client"
	"sluice/controller/enrol"
	"sluice/controller/events"
	"sluice/controller/host"
	"sluice/controller/proof"
	"sluice/controller/traffic"
	"sluice/controller/usage"
	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/pki"
	"sluice/store"
	"sluice/store/etcd"
)

// Controller is what the API shows of a controller.
type Controller interface {
	Name() string
	Ready() <-chan struct{}
	View(f func(*store.State))
	Each(n int, f func(s *store.State, i int))
	Await(ctx context.Context, rev store.Revision) error
	Hosts() []host.Status
	Unknown() store.UnknownSwitches
	Problems() []store.Problem
	Serving() etcd.TrustState
	Office() *enrol.Office
	Changes() *changes.Window
	Events() *events.Log
	Usage(ctx context.Context, tenant string) (*usage.Tenant, error)
	Visited(ctx context.Context) map[store.Key]store.Visit
	Damped(ctx context.Context) map[string][]string
	Outlook(ctx context.Context, q traffic.Question) (traffic.Outlook, error)
	Installed(ctx context.Context, host string) ([]openflow.FlowStats, error)
	LastDump(host string) ([]openflow.FlowStats, time.Time, error)
	FromPeers(ctx context.Context, host string) ([]openflow.FlowStats, error)
	Desired(host string) ([]openflow.Flow, []store.Problem, error)
	Past(ctx context.Context, rev store.Revision) (*store.State, error)
	SwitchAt(host string, states ...*store.State) (sw flows.Switch, gone int)
	Ports(host string) (numbers map[string]uint32, told bool, err error)
	Prove(ctx context.Context, host string) (*proof.Look, error)
	Gone(host string) time.Duration
}

// Store is what the API reads of etcd itself, and how it writes: each kind of object says what
// it needs in its own file.
type Store interface {
	Get(ctx context.Context, key store.Key) (store.Object, store.Revision, error)
	List(ctx context.Context, kind store.Kind, prefix ...string) ([]store.Event, store.Revision, error)
	Problems() []store.Problem
	UnknownKinds() map[string]int
	Reports(ctx context.Context) (hosts map[string]*store.StatusHost, controllers map[string]*store.StatusController, err error)
	tenantStore
	networkStore
	hostStore
	tidyStore
	tokenStore
	planStore
}

// Options are what the API serves from.
type Options struct {
	Version    string
	Controller Controller
	Store      Store
	Registry   prometheus.Gatherer
	Log        *slog.Logger

	Local       *access.LocalToken // the controller's own token; nil: there is none
	Hosts       []string           // names under which clients know the controller, besides its addresses
	Identity    *pki.Source        // this controller's certificate, by which others know it; nil: it asks none of them
	OpenMetrics bool               // /metrics asks for no token
	// Pages adds what people see in a browser. The client asks this API as whoever its context names.
	Pages func(mux *http.ServeMux, c *client.Client)
	Audit *slog.Logger // gets a line for every write and every refusal; nil: Log
}

// server answers requests. It holds nothing that a request changes, but for who waits.
type server struct {
	Options
	dumps *semaphore.Weighted // of flows of a switch that are worked on: each may be many megabytes
	asked *semaphore.Weighted // the same for other controllers: who waits for one of them must not keep it waiting
	walks *semaphore.Weighted // over all that is taken
	// tenantTraces are those that tenants ask for.
	tenantTraces *semaphore.Weighted
}

// dumpsAtOnce bounds the memory that answers of flows take together.
const dumpsAtOnce = 4

// New is the whole HTTP face of a controller.
func New(o Options) http.Handler {
	s := &server{o, semaphore.NewWeighted(dumpsAtOnce), semaphore.NewWeighted(dumpsAtOnce), semaphore.NewWeighted(1), semaphore.NewWeighted(1)}
	audit := o.Audit
	if audit == nil {
		audit = o.Log
	}
	guard := access.New(access.Options{
		View: o.Controller.View, Loaded: o.Controller.Ready(), Local: o.Local, Hosts: o.Hosts, Audit: audit, Log: o.Log,
		Written: s.written,
	})
	guarded, office := guard.Before(s.routes()), guard.Beside(o.Controller.Office().Handler(noteSigned))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch read := r.Method == http.MethodGet || r.Method == http.MethodHead; { // what any load balancer may ask
		case read && r.URL.Path == "/healthz":
			s.healthy(w, r)
		case read && r.URL.Path == "/readyz":
			s.ready(w, r)
		case enrol.Serves(r.URL.Path): // who asks proves it there, and has no token of the API's
			office.ServeHTTP(w, r)
		default:
			guarded.ServeHTTP(w, r)
		}
	})
}

// routes are those that the guard stands before.
func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	s.resources(humago.New(mux, config(s.Version)))
	if s.Pages != nil {
		s.Pages(mux, Within(mux))
	}
	metrics := promhttp.HandlerFor(s.Registry, promhttp.HandlerOpts{MaxRequestsInFlight: scrapesAtOnce})
	if !s.OpenMetrics {
		metrics = access.Require(access.Look, metrics)
	}
	mux.Handle("GET /metrics", metrics)
	return problems(mux)
}

// scrapesAtOnce bounds the work of scrapes; Prometheus sends one at a time.
const scrapesAtOnce = 4

// problems answers with a problem document where a mux has no route, and says why not.
func problems(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		answer := &keptAnswer{header: http.Header{}}
		mux.ServeHTTP(answer, r)
		if allow := answer.header.Get("Allow"); allow != "" {
			w.Header().Set("Allow", allow)
			access.Refuse(w, http.StatusMethodNotAllowed, fmt.Errorf("%s is for %s", r.URL.Path, allow))
			return
		}
		access.Refuse(w, http.StatusNotFound, fmt.Errorf("nothing is at %s: see /openapi.json", r.URL.Path))
	})
}

func config(version string) huma.Config {
	c := huma.DefaultConfig("Sluice", version)
	c.Info.Description = "Networks of tenants: their desired state, and what the switches really do."
	c.DocsPath = ""     // its page loads scripts from elsewhere
	c.SchemasPath = ""  // they are in /openapi.json
	c.CreateHooks = nil // no $schema in answers: they are the store's fields
	c.RejectUnknownQueryParameters = true
	describe(c.OpenAPI)
	return c
}

func (s *server) resources(a huma.API) {
	a.UseMiddleware(func(ctx huma.Context, next func(huma.Context)) {
		status, err := admit(ctx)
		if err == nil && ctx.Method() == http.MethodGet && ctx.Operation().OperationID != showStatus {
			if err = s.unloaded(); err != nil {
				status, err = http.StatusServiceUnavailable, fmt.Errorf("%w: see sluice status", err)
			}
		}
		if err != nil {
			if status == http.StatusUnauthorized {
				ctx.SetHeader("WWW-Authenticate", access.Challenge)
			}
			_ = huma.WriteErr(a, ctx, status, err.Error())
			return
		}
		access.EntryOf(ctx.Context()).Operation = ctx.Operation().OperationID
		ctx, err = conditions(ctx)
		if err != nil {
			_ = huma.WriteErr(a, ctx, http.StatusBadRequest, err.Error())
			return
		}
		next(ctx)
	})
	s.tenants(a)
	s.networks(a)
	s.hosts(a)
	s.links(a)
	s.enrolments(a)
	s.ports(a)
	s.gateways(a)
	s.peerings(a)
	s.publications(a)
	s.stickies(a)
	s.flows(a)
	s.owners(a)
	s.plans(a)
	s.verifications(a)
	s.traces(a)
	s.status(a)
	s.tokens(a)
	s.schema(a)
	s.tidy(a)
	s.tidyPorts(a)
	s.watches(a)
	s.events(a)
}

// body is an answer of one JSON value.
type body[T any] struct{ Body T }

func (s *server) healthy(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte("{\"status\":\"ok\"}\n"))
}

// ready answers once the state was loaded.
func (s *server) ready(w http.ResponseWriter, r *http.Request) {
	why := s.unloaded()
	if why == nil {
		s.healthy(w, r)
		return
	}
	kind := "about:blank"
	if s.Controller.Serving().Held() {
		kind = client.TypeHeld
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(http.StatusServiceUnavailable)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"type": kind, "title": http.StatusText(http.StatusServiceUnavailable), "status": http.StatusServiceUnavailable, "detail": why.Error(),
	}) // a client that went away hears nothing
}

// unloaded says why there is no state to show yet: lists of it would look empty, and each object as if it were gone.
func (s *server) unloaded() error {
	select {
	case <-s.Controller.Ready():
		return nil
	default:
	}
	why := "etcd has not answered"
	if serving := s.Controller.Serving(); serving.Held() {
		why = serving.Why
	}
	return errors.New("the state is not loaded yet: " + why)
}

// writeTime bounds how long a write waits for an etcd that is away.
const writeTime = 10 * time.Second

// write runs one write of an object, which the audit log names, and returns the revision at which
// it happened, seen by reads.
func (s *server) write(ctx context.Context, object string, f func(context.Context) (store.Revision, error)) (store.Revision, error) {
	entry := access.EntryOf(ctx)
	entry.Object = object
	bounded, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	rev, err := f(bounded)
	if err != nil {
		return 0, s.refuse(err)
	}
	entry.Revision = rev
	s.settle(ctx, rev)
	return rev, nil
}

// remove is a write that leaves nothing to show but its revision.
func (s *server) remove(ctx context.Context, object string, f func(context.Context) (store.Revision, error)) (*body[client.Deleted], error) {
	rev, err := s.write(ctx, object, f)
	if err != nil {
		return nil, err
	}
	return &body[client.Deleted]{client.Deleted{Revision: rev}}, nil
}

// settleTime bounds how long a write waits to be seen by reads. The write stands anyway.
const settleTime = 2 * time.Second

// settle returns when the state holds revision rev, so that who reads after writing finds
// what they wrote, or after settleTime.
func (s *server) settle(ctx context.Context, rev store.Revision) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	_ = s.Controller.Await(ctx, rev) // where it is not seen yet, who reads is told so
}
