package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
	"sluice/controller/client"
	"sluice/store"
	"sluice/store/etcd"
)

// tidyStore finds and removes what is left over of objects that are not there.
type tidyStore interface {
	Allocs(ctx context.Context, after string) (page []etcd.AllocKey, next string, err error)
	StillStrays(ctx context.Context, strays []etcd.AllocKey) (still []etcd.AllocKey, err error)
	FreeStrays(ctx context.Context, strays []etcd.AllocKey) (freed []etcd.Mended, err error)
	ClearHost(ctx context.Context, name string, at store.Revision) (store.Revision, error)
	UnreadablePorts(ctx context.Context, limit int) (list []etcd.UnreadablePort, more bool, err error)
	RemoveUnreadable(ctx context.Context, ports []etcd.UnreadablePort) (removed []etcd.UnreadablePort, err error)
}

// maxStrays bounds one look; who removes these finds the others.
const maxStrays = 10_000

func (s *server) tidy(a huma.API) {
	const tag, values, hosts = "tidy", "/v1/tidy/values", "/v1/tidy/hosts"
	huma.Register(a, operation("list-stray-values", http.MethodGet, values, tag, "List what is taken by objects that are not there", access.Look), s.listStrays)
	huma.Register(a, answered(operation("free-stray-values", http.MethodPost, values, tag, "Free what is taken by objects that are not there", access.Rule)), s.freeStrays)
	huma.Register(a, operation("list-absent-hosts", http.MethodGet, hosts, tag, "List hosts that are not registered and have ports", access.Look), s.listAbsentHosts)
	huma.Register(a, answered(operation("clear-absent-hosts", http.MethodPost, hosts, tag, "Remove the ports of hosts that are not registered", access.Rule)), s.clearAbsentHosts)
}

func (s *server) listStrays(ctx context.Context, _ *struct{}) (*body[client.Strays], error) {
	found, taken, err := s.strays(ctx)
	if err != nil {
		return nil, s.refuse(err)
	}
	return &body[client.Strays]{straysOf(found, taken)}, nil
}

// strays walks all that is taken, one walk at a time, and returns what no object has.
func (s *server) strays(ctx context.Context) (found []etcd.AllocKey, taken int, err error) {
	if err := s.walks.Acquire(ctx, 1); err != nil {
		return nil, 0, err
	}
	defer s.walks.Release(1)
	for after, more := "", true; more; more = after != "" {
		var page []etcd.AllocKey
		if page, after, err = s.Store.Allocs(ctx, after); err != nil {
			return nil, 0, err
		}
		taken += len(page)
		s.Controller.Each(len(page), func(state *store.State, i int) {
			if v, _ := state.JudgeAlloc(page[i].Path, page[i].Alloc); v == store.AllocStray && len(found) <= maxStrays {
				found = append(found, page[i])
			}
		})
	}
	found, err = s.Store.StillStrays(ctx, found) // the state may be behind what etcd holds
	return found, taken, err
}

func straysOf(found []etcd.AllocKey, taken int) client.Strays {
	list := client.Strays{Taken: taken, Values: []client.Stray{}, More: len(found) > maxStrays}
	var names []string
	for _, key := range found[:min(len(found), maxStrays)] {
		v := client.Stray{Value: strings.TrimPrefix(key.Path, store.Under(store.KindAlloc)), Owner: key.Owner, Modified: key.Modified}
		list.Values = append(list.Values, v)
		names = append(names, fmt.Sprintf("%s@%d", v.Value, v.Modified))
	}
	list.ID = setID(names)
	return list
}

// setID names a set of things: any other set has another.
func setID(names []string) string {
	if len(names) == 0 {
		return ""
	}
	sum := sha256.Sum256([]byte(strings.Join(names, "\n")))
	return hex.EncodeToString(sum[:6])
}

// other refuses a word about what is not there as it was shown.
func other(asked, now, what string) error {
	if asked == now && now != "" {
		return nil
	}
	return fmt.Errorf("tidy %s: %w: what is left over is not what %q names: look again with `sluice tidy %s`", what, store.ErrConflict, asked, what)
}

func (s *server) freeStrays(ctx context.Context, in *struct{ Body client.Tidying }) (*body[client.Strays], error) {
	access.EntryOf(ctx).Object = "values of no object, " + in.Body.ID
	found, taken, err := s.strays(ctx)
	if err != nil {
		return nil, s.refuse(err)
	}
	shown := straysOf(found, taken)
	if err := other(in.Body.ID, shown.ID, "values"); err != nil {
		return nil, s.refuse(err)
	}
	done := client.Strays{ID: shown.ID, Taken: taken, Values: []client.Stray{}, More: shown.More}
	_, err = s.write(ctx, fmt.Sprintf("%d values of no object, %s", len(shown.Values), shown.ID), func(ctx context.Context) (last store.Revision, err error) {
		freed, err := s.Store.FreeStrays(ctx, found[:len(shown.Values)])
		for _, m := range freed {
			last = max(last, m.At)
			v := client.Stray{Value: strings.TrimPrefix(m.Path, store.Under(store.KindAlloc)), Owner: m.Was, Modified: m.At}
			s.Log.Info("freed a value of no object by the operator's word", "value", v.Value, "was", v.Owner, "rev", m.At)
			done.Values = append(done.Values, v)
		}
		return last, err
	})
	if err != nil {
		return nil, err
	}
	return &body[client.Strays]{done}, nil
}

func (s *server) listAbsentHosts(_ context.Context, _ *struct{}) (*body[client.AbsentHosts], error) {
	return &body[client.AbsentHosts]{s.absentHosts()}, nil
}

func (s *server) absentHosts() client.AbsentHosts {
	list := client.AbsentHosts{Hosts: []client.AbsentHost{}}
	var names []string
	s.Controller.View(func(state *store.State) {
		for _, name := range state.HostsGone() {
			h := client.AbsentHost{Host: name}
			h.Ports, h.Newest = state.PortsLeft(name)
			list.Hosts = append(list.Hosts, h)
			names = append(names, fmt.Sprintf("%s@%d+%d", h.Host, h.Newest, h.Ports))
		}
	})
	list.ID = setID(slices.Clip(names))
	return list
}

// clearAbsentHosts removes the ports that were shown: of each host while it is not registered, and
// none that is younger.
func (s *server) clearAbsentHosts(ctx context.Context, in *struct{ Body client.Tidying }) (*body[client.AbsentHosts], error) {
	access.EntryOf(ctx).Object = "ports of absent hosts, " + in.Body.ID
	shown := s.absentHosts()
	if err := other(in.Body.ID, shown.ID, "hosts"); err != nil {
		return nil, s.refuse(err)
	}
	_, err := s.write(ctx, fmt.Sprintf("ports of %d absent hosts, %s", len(shown.Hosts), shown.ID), func(ctx context.Context) (last store.Revision, err error) {
		for _, h := range shown.Hosts {
			s.Log.Info("removing the ports of a host that is not registered by the operator's word", "host", h.Host, "ports", h.Ports, "rev", h.Newest)
			rev, err := s.Store.ClearHost(ctx, h.Host, h.Newest)
			if err != nil {
				return last, fmt.Errorf("clear host %s: %w", h.Host, err)
			}
			last = max(last, rev)
		}
		return last, nil
	})
	if err != nil {
		return nil, err
	}
	return &body[client.AbsentHosts]{shown}, nil
}
