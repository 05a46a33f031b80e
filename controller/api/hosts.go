package api

import (
	"context"
	"errors"
	"iter"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
	"sluice/store"
)

// hostStore removes hosts; their agents write them.
type hostStore interface {
	DeleteHost(ctx context.Context, name string) (store.Revision, error)
	Requests(ctx context.Context) (map[string]store.Request, error)
	SayWord(ctx context.Context, host, word string) (asked *store.Request, rev store.Revision, err error)
}

// Host is a registered host and how it stands.
type Host struct {
	Name string `json:"name"`
	store.Host
	State     store.HostState `json:"state"`
	Realized  store.Revision  `json:"realized"`
	Master    string          `json:"master,omitempty"` // the controller that programs it
	Connected bool            `json:"connected"`        // its switch, to the controller that answers
	Live      bool            `json:"live"`             // its agent holds its lease
	Agent     store.Program   `json:"agent,omitzero"`   // what its live agent says of itself
	Flows     int             `json:"flows"`
	Ports     int             `json:"ports"`
	Missing   []string        `json:"missing,omitempty"` // ports whose interface the switch lacks
	Problems  store.Problems  `json:"problems,omitempty"`
	Created   store.Revision  `json:"created"`
	// Request is what its agent waits for a word about.
	Request *store.Request `json:"request,omitempty"`
}

// hostPath is the host that a route names.
type hostPath struct {
	Host string `path:"host" example:"h1"`
}

func (s *server) hosts(a huma.API) {
	huma.Register(a, operation("list-hosts", http.MethodGet, "/v1/hosts", "hosts", "List hosts", access.Look), s.listHosts)
	huma.Register(a, operation("show-host", http.MethodGet, "/v1/hosts/{host}", "hosts", "Show a host", access.Look), s.showHost)
	huma.Register(a, operation("delete-host", http.MethodDelete, "/v1/hosts/{host}", "hosts", "Forget a host", access.Rule), s.deleteHost)
	huma.Register(a, answered(operation("adopt-host", http.MethodPost, "/v1/hosts/{host}/adopt", "hosts",
		"Tell a host's agent that this store is the right one, and to take its ports into it", access.Rule)), s.sayWord(store.WordAdopt))
	huma.Register(a, answered(operation("clean-host", http.MethodPost, "/v1/hosts/{host}/clean", "hosts",
		"Tell a host's agent to remove what belongs to no port", access.Rule)), s.sayWord(store.WordClean))
}

func (s *server) listHosts(ctx context.Context, in *PageQuery) (*page[Host], error) {
	show, err := s.hostShower(ctx)
	if err != nil {
		return nil, s.refuse(err)
	}
	return listing(s, store.KindHost, *in, hostKeys, show)
}

// hostKeys walks hosts by name.
func hostKeys(state *store.State, after store.Key) iter.Seq[store.Key] {
	return func(yield func(store.Key) bool) {
		for h := range state.Hosts() {
			if h.Key.Host > after.Host && !yield(h.Key) {
				return
			}
		}
	}
}

// hostShower joins what the store holds of a host with how it stands now. While etcd is away it
// answers too, since a host's state is asked for exactly then: of other controllers' hosts it is
// what this one knows, and each says so.
func (s *server) hostShower(ctx context.Context) (func(*store.State, store.Key) (Host, bool), error) {
	reports, away := s.reports(ctx)
	if away != nil && !errors.Is(away, store.ErrUnavailable) && !errors.Is(away, store.ErrHeld) {
		return nil, away
	}
	standing := map[string]HostStatus{}
	for _, h := range s.standing(reports) {
		standing[h.Name] = h
	}
	return func(state *store.State, key store.Key) (Host, bool) {
		h := state.Host(key.Host)
		if h == nil {
			return Host{}, false
		}
		shown := hostOf(state, h, standing[key.Host])
		if away != nil && shown.Master != s.Controller.Name() {
			shown.Problems = append(shown.Problems, store.ProblemOf(key, "etcd cannot be asked: this is what this controller knows of a host that it does not program"))
		}
		return shown, true
	}, nil
}

func hostOf(state *store.State, h *store.Item[store.Host], at HostStatus) Host {
	shown := Host{
		Name: h.Key.Host, Host: *h.Value, Created: h.Created,
		State: at.State, Realized: at.Realized, Master: at.Master, Connected: at.Connected,
		Live: at.Live, Agent: at.Agent, Flows: at.Flows, Missing: at.Missing, Problems: at.Problems,
	}
	if request := state.Request(h.Key.Host); request != nil {
		shown.Request = request.Value
	}
	for _, n := range state.NetworksOn(h.Key.Host) {
		shown.Ports += len(state.PortsAt(h.Key.Host, n))
	}
	return shown
}

func (s *server) showHost(ctx context.Context, in *hostPath) (*body[Host], error) {
	show, err := s.hostShower(ctx)
	if err != nil {
		return nil, s.refuse(err)
	}
	var shown *body[Host]
	s.Controller.View(func(state *store.State) {
		if h, exists := show(state, store.HostKey(in.Host)); exists {
			shown = &body[Host]{h}
		}
	})
	if shown == nil {
		return nil, absent("host", in.Host, "host list")
	}
	return shown, nil
}

func (s *server) deleteHost(ctx context.Context, in *hostPath) (*body[Deleted], error) {
	return s.remove(ctx, "host "+in.Host, func(ctx context.Context) (store.Revision, error) { return s.Store.DeleteHost(ctx, in.Host) })
}

// Word is what an operator said to a host's agent, and what it had asked for.
type Word struct {
	Revision store.Revision `json:"revision"`
	// Request is what the word answers; none: the agent asked for nothing, and needs no word.
	Request *store.Request `json:"request,omitempty"`
}

// answered makes a route's success a 200: it makes nothing that a client could name.
func answered(op huma.Operation) huma.Operation {
	op.DefaultStatus = http.StatusOK
	return op
}

func (s *server) sayWord(word string) func(context.Context, *hostPath) (*body[Word], error) {
	return func(ctx context.Context, in *hostPath) (*body[Word], error) {
		said := Word{}
		_, err := s.write(ctx, "host "+in.Host, func(ctx context.Context) (_ store.Revision, err error) {
			said.Request, said.Revision, err = s.Store.SayWord(ctx, in.Host, word)
			return said.Revision, err
		})
		if err != nil {
			return nil, err
		}
		return &body[Word]{said}, nil
	}
}

// Hosts lists all hosts, sorted by name.
func (c *Client) Hosts(ctx context.Context) ([]Host, error) {
	return getAll[Host](ctx, c, "/v1/hosts", nil)
}

// Host shows one host.
func (c *Client) Host(ctx context.Context, name string) (Host, error) {
	return get[Host](ctx, c, path("hosts", name), nil)
}

// DeleteHost forgets a host; its agent finds its writes refused until it registers anew.
func (c *Client) DeleteHost(ctx context.Context, name string) (Deleted, error) {
	return do[Deleted](ctx, c, http.MethodDelete, path("hosts", name), nil)
}

// AdoptHost tells a host's agent that this store is the one to serve from now on, and to take the
// ports into it that the host has and the store lacks.
func (c *Client) AdoptHost(ctx context.Context, name string) (Word, error) {
	return do[Word](ctx, c, http.MethodPost, path("hosts", name, "adopt"), nil)
}

// CleanHost tells a host's agent to remove the interfaces that belong to no port of this store.
func (c *Client) CleanHost(ctx context.Context, name string) (Word, error) {
	return do[Word](ctx, c, http.MethodPost, path("hosts", name, "clean"), nil)
}
