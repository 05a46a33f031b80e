package api

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
	"sluice/controller/client"
	"sluice/store"
	"sluice/store/etcd"
)

// maxUnreadable bounds one look, since each has its value with it.
const maxUnreadable = 100

func (s *server) tidyPorts(a huma.API) {
	const tag, ports = "tidy", "/v1/tidy/ports"
	huma.Register(a, operation("list-unreadable-ports", http.MethodGet, ports, tag, "List ports that cannot be read, of hosts without an agent", access.Look), s.listUnreadable)
	huma.Register(a, answered(operation("remove-unreadable-ports", http.MethodPost, ports, tag, "Remove ports that cannot be read", access.Rule)), s.removeUnreadable)
}

func (s *server) listUnreadable(ctx context.Context, _ *struct{}) (*body[client.UnreadablePorts], error) {
	found, more, err := s.Store.UnreadablePorts(ctx, maxUnreadable)
	if err != nil {
		return nil, s.refuse(err)
	}
	return &body[client.UnreadablePorts]{unreadableOf(found, more)}, nil
}

func unreadableOf(found []etcd.UnreadablePort, more bool) client.UnreadablePorts {
	list := client.UnreadablePorts{Ports: []client.UnreadablePort{}, More: more}
	var names []string
	for _, p := range found {
		list.Ports = append(list.Ports, client.UnreadablePort{
			Tenant: p.Key.Tenant, Network: p.Key.Network, Name: p.Key.Name, Host: p.Key.Host,
			Why: p.Why, Modified: p.Modified, Key: p.Key.String(), Value: p.Value,
		})
		names = append(names, fmt.Sprintf("%s@%d", p.Key.Short(), p.Modified))
	}
	list.ID = setID(names)
	return list
}

func (s *server) removeUnreadable(ctx context.Context, in *struct{ Body client.Tidying }) (*body[client.UnreadablePorts], error) {
	access.EntryOf(ctx).Object = "ports that cannot be read, " + in.Body.ID
	found, more, err := s.Store.UnreadablePorts(ctx, maxUnreadable)
	if err != nil {
		return nil, s.refuse(err)
	}
	shown := unreadableOf(found, more)
	if err := other(in.Body.ID, shown.ID, "ports"); err != nil {
		return nil, s.refuse(err)
	}
	var done client.UnreadablePorts
	_, err = s.write(ctx, fmt.Sprintf("%d ports that cannot be read, %s", len(found), shown.ID), func(ctx context.Context) (last store.Revision, err error) {
		removed, err := s.Store.RemoveUnreadable(ctx, found)
		for _, p := range removed {
			last = max(last, p.Modified)
			s.Log.Warn("removed a port that cannot be read by the operator's word", "host", p.Key.Host, "tenant", p.Key.Tenant,
				"network", p.Key.Network, "port", p.Key.Name, "rev", p.Modified, "was", string(p.Value[:min(len(p.Value), maxLogged)]))
		}
		done = unreadableOf(removed, more)
		done.ID = shown.ID
		return last, err
	})
	if err != nil {
		return nil, err
	}
	return &body[client.UnreadablePorts]{done}, nil
}

// maxLogged bounds what of a value goes to the log.
const maxLogged = 1024

// deaf tells of hosts that are not registered and have ports, none of which can be read: by the ports
// that can be the leader knows of such a host, and tells the same.
func deaf(problems store.Problems, state *store.State) (list store.Problems) {
	ports := map[string]map[store.Key]bool{}
	for _, p := range problems {
		key, err := store.ParseKey(store.Prefix + p.Object)
		if err != nil || key.Kind != store.KindPort || state.Host(key.Host) != nil {
			continue
		}
		if left, _ := state.PortsLeft(key.Host); left > 0 {
			continue
		}
		if ports[key.Host] == nil {
			ports[key.Host] = map[store.Key]bool{}
		}
		ports[key.Host][key] = true
	}
	for _, host := range slices.Sorted(maps.Keys(ports)) {
		list = append(list, store.ProblemOf(store.HostKey(host),
			"it is not registered, and of its %d ports none can be read: they are kept: start its agent, or remove them with `sluice tidy ports`, which shows them first, or with `sluice host delete %s`",
			len(ports[host]), host))
	}
	return list
}
