package api

import (
	"context"
	"errors"
	"iter"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
	"sluice/controller/client"
	"sluice/store"
)

// hostStore removes hosts; their agents write them.
type hostStore interface {
	DeleteHost(ctx context.Context, name string, presumed ...store.Presumption) (store.Revision, error)
	Requests(ctx context.Context) (map[string]store.Request, error)
	SayWord(ctx context.Context, host, word string) (asked *store.Request, rev store.Revision, err error)
}

// hostPath is the host that a route names.
type hostPath struct {
	Host string `path:"host" example:"h1"`
}

func (s *server) hosts(a huma.API) {
	list := operation("list-hosts", http.MethodGet, "/v1/hosts", "hosts", "List hosts", access.Look)
	list.Description = "With at, those that were there at a revision, also where they were deleted since: as etcd had them then, without how they stand. 410 says how far back etcd's history goes."
	list.Errors = append(list.Errors, http.StatusGone)
	huma.Register(a, list, s.listHosts)
	huma.Register(a, conditional(operation("show-host", http.MethodGet, "/v1/hosts/{host}", "hosts", "Show a host", access.Look)), s.showHost)
	huma.Register(a, conditional(operation("delete-host", http.MethodDelete, "/v1/hosts/{host}", "hosts", "Forget a host", access.Rule)), s.deleteHost)
	huma.Register(a, answered(operation("adopt-host", http.MethodPost, "/v1/hosts/{host}/adopt", "hosts",
		"Tell a host's agent that this store is the right one, and to take its ports into it", access.Rule)), s.sayWord(store.WordAdopt))
	huma.Register(a, answered(operation("clean-host", http.MethodPost, "/v1/hosts/{host}/clean", "hosts",
		"Tell a host's agent to remove what belongs to no port", access.Rule)), s.sayWord(store.WordClean))
}

type hostQuery struct {
	client.PageQuery
	At store.Revision `query:"at" minimum:"0" doc:"those of this revision, as far as etcd's history goes; 0: now" example:"4711"`
}

func (s *server) listHosts(ctx context.Context, in *hostQuery) (*page[client.Host], error) {
	if in.At > 0 {
		return s.hostsAt(ctx, in)
	}
	show, err := s.hostShower(ctx)
	if err != nil {
		return nil, s.refuse(err)
	}
	return listing(s, store.KindHost, in.PageQuery, hostKeys, show)
}

// hostsAt lists the hosts of a revision that is over.
func (s *server) hostsAt(ctx context.Context, in *hostQuery) (*page[client.Host], error) {
	state, err := s.Controller.Past(ctx, in.At)
	if err != nil {
		return nil, s.refuse(err)
	}
	after, err := startOf(in.PageQuery, store.KindHost)
	if err != nil {
		return nil, err
	}
	out := &page[client.Host]{Body: []client.Host{}}
	for key := range hostKeys(state, after) {
		if len(out.Body) == in.Limit {
			out.Continue = continueAfter(store.HostKey(out.Body[in.Limit-1].Name))
			break
		}
		h := state.Host(key.Host)
		out.Body = append(out.Body, client.Host{Name: key.Host, Host: *h.Value, Created: h.Created, Modified: h.Modified})
	}
	return out, nil
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
func (s *server) hostShower(ctx context.Context) (func(*store.State, store.Key) (client.Host, bool), error) {
	reports, away := s.reports(ctx)
	if away != nil && !errors.Is(away, store.ErrUnavailable) && !errors.Is(away, store.ErrHeld) {
		return nil, away
	}
	standing := map[string]client.HostStatus{}
	for _, h := range s.standing(reports) {
		standing[h.Name] = h
	}
	return func(state *store.State, key store.Key) (client.Host, bool) {
		h := state.Host(key.Host)
		if h == nil {
			return client.Host{}, false
		}
		shown := hostOf(state, h, standing[key.Host])
		if away != nil && shown.Master != s.Controller.Name() {
			shown.Problems = append(shown.Problems, store.ProblemOf(key, "etcd cannot be asked: this is what this controller knows of a host that it does not program"))
		}
		return shown, true
	}, nil
}

func hostOf(state *store.State, h *store.Item[store.Host], at client.HostStatus) client.Host {
	shown := client.Host{
		Name: h.Key.Host, Host: *h.Value, Created: h.Created, Modified: h.Modified,
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

func (s *server) showHost(ctx context.Context, in *hostPath) (*tagged[client.Host], error) {
	shower, err := s.hostShower(ctx)
	if err != nil {
		return nil, s.refuse(err)
	}
	var shown client.Host
	exists := false
	s.Controller.View(func(state *store.State) { shown, exists = shower(state, store.HostKey(in.Host)) })
	if !exists {
		return nil, absent("host", in.Host, "host list")
	}
	return show(ctx, shown.Modified, shown)
}

func (s *server) deleteHost(ctx context.Context, in *hostPath) (*body[client.Deleted], error) {
	return s.remove(ctx, "host "+in.Host, func(ctx context.Context) (store.Revision, error) {
		return s.Store.DeleteHost(ctx, in.Host, match(ctx, store.HostKey(in.Host))...)
	})
}

// answered makes a route's success a 200: it makes nothing that a client could name.
func answered(op huma.Operation) huma.Operation {
	op.DefaultStatus = http.StatusOK
	return op
}

func (s *server) sayWord(word string) func(context.Context, *hostPath) (*body[client.Word], error) {
	return func(ctx context.Context, in *hostPath) (*body[client.Word], error) {
		said := client.Word{}
		_, err := s.write(ctx, "host "+in.Host, func(ctx context.Context) (_ store.Revision, err error) {
			said.Request, said.Revision, err = s.Store.SayWord(ctx, in.Host, word)
			return said.Revision, err
		})
		if err != nil {
			return nil, err
		}
		return &body[client.Word]{said}, nil
	}
}
