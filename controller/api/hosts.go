package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"sluice/store"
)

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

// allHosts joins what the store holds of each host with how it stands.
func (s *server) allHosts(ctx context.Context) ([]Host, error) {
	reports, err := s.reports(ctx)
	if err != nil {
		return nil, err
	}
	standing := map[string]HostStatus{}
	for _, h := range s.standing(reports) {
		standing[h.Name] = h
	}
	list := []Host{}
	s.Controller.View(func(state *store.State) {
		for h := range state.Hosts() {
			list = append(list, hostOf(state, h, standing[h.Key.Host]))
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
