package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"sluice/store"
)

// hostStore removes hosts; their agents write them.
type hostStore interface {
	DeleteHost(ctx context.Context, name string) (store.Revision, error)
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
	Flows     int             `json:"flows"`
	Ports     int             `json:"ports"`
	Missing   []string        `json:"missing,omitempty"` // ports whose interface the switch lacks
	Problems  store.Problems  `json:"problems,omitempty"`
	Created   store.Revision  `json:"created"`
}

// hostPath is the host that a route names.
type hostPath struct {
	Host string `path:"host" example:"h1"`
}

func (s *server) hosts(a huma.API) {
	huma.Register(a, operation("list-hosts", http.MethodGet, "/v1/hosts", "hosts", "List hosts"), s.listHosts)
	huma.Register(a, operation("show-host", http.MethodGet, "/v1/hosts/{host}", "hosts", "Show a host"), s.showHost)
	huma.Register(a, operation("delete-host", http.MethodDelete, "/v1/hosts/{host}", "hosts", "Forget a host"), s.deleteHost)
}

func (s *server) listHosts(ctx context.Context, _ *struct{}) (*body[[]Host], error) {
	list, err := s.allHosts(ctx)
	if err != nil {
		return nil, s.refuse(err)
	}
	return &body[[]Host]{list}, nil
}

// allHosts joins what the store holds of each host with how it stands. While etcd is away it
// answers too, since a host's state is asked for exactly then: of other controllers' hosts it is
// what this one knows, and each says so.
func (s *server) allHosts(ctx context.Context) ([]Host, error) {
	reports, err := s.reports(ctx)
	if err != nil && !errors.Is(err, store.ErrUnavailable) {
		return nil, err
	}
	standing := map[string]HostStatus{}
	for _, h := range s.standing(reports) {
		standing[h.Name] = h
	}
	list := []Host{}
	s.Controller.View(func(state *store.State) {
		for h := range state.Hosts() {
			host := hostOf(state, h, standing[h.Key.Host])
			if err != nil && host.Master != s.Controller.Name() {
				host.Problems = append(host.Problems, store.ProblemOf(h.Key, "etcd does not answer, so this is what this controller knows of another one's host"))
			}
			list = append(list, host)
		}
	})
	return list, nil
}

func hostOf(state *store.State, h *store.Item[store.Host], at HostStatus) Host {
	shown := Host{
		Name: h.Key.Host, Host: *h.Value, Created: h.Created,
		State: at.State, Realized: at.Realized, Master: at.Master, Connected: at.Connected,
		Live: at.Live, Flows: at.Flows, Missing: at.Missing, Problems: at.Problems,
	}
	for _, n := range state.NetworksOn(h.Key.Host) {
		shown.Ports += len(state.PortsAt(h.Key.Host, n))
	}
	return shown
}

func (s *server) showHost(ctx context.Context, in *hostPath) (*body[Host], error) {
	list, err := s.allHosts(ctx)
	if err != nil {
		return nil, s.refuse(err)
	}
	for _, h := range list {
		if h.Name == in.Host {
			return &body[Host]{h}, nil
		}
	}
	return nil, absent("host", in.Host, "host list")
}

func (s *server) deleteHost(ctx context.Context, in *hostPath) (*body[Deleted], error) {
	return s.remove(ctx, func(ctx context.Context) (store.Revision, error) { return s.Store.DeleteHost(ctx, in.Host) })
}

// Hosts lists all hosts, sorted by name.
func (c *Client) Hosts(ctx context.Context) ([]Host, error) {
	return get[[]Host](ctx, c, "/v1/hosts", nil)
}

// Host shows one host.
func (c *Client) Host(ctx context.Context, name string) (Host, error) {
	return get[Host](ctx, c, path("hosts", name), nil)
}

// DeleteHost forgets a host; its agent finds its writes refused until it registers anew.
func (c *Client) DeleteHost(ctx context.Context, name string) (Deleted, error) {
	return do[Deleted](ctx, c, http.MethodDelete, path("hosts", name), nil)
}
