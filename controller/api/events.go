package api

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
	"sluice/controller/client"
	"sluice/controller/events"
	"sluice/store"
)

func (s *server) events(a huma.API) {
	huma.Register(a, operation("list-events", http.MethodGet, "/v1/events", "events", "List what happened, the last at the end", access.Read), s.listEvents)
	op := operation("watch-events", http.MethodGet, access.EventsWatchPath, "events", "Watch what happens, as server-sent events", access.Read)
	op.Description = "Like /v1/watch, of what happens: without a revision it begins with a put of each event that is kept, the last at the end, and a bookmark. " +
		"Then each comes as it happens, and again whenever it happened again: its name is the same, its count is larger. What is forgotten after a time is not told."
	op.Errors = append(op.Errors, http.StatusGone)
	op.Responses = map[string]*huma.Response{"200": {
		Description: "Events, until who asked leaves.",
		Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: a.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[client.Change](), true, "Change")}},
	}}
	huma.Register(a, op, s.watchEvents)
}

type listEventsQuery struct {
	client.EventFilter
	Limit int `query:"limit" minimum:"1" maximum:"1000" default:"1000" doc:"how many, of the last ones"`
}

func (s *server) listEvents(ctx context.Context, in *listEventsQuery) (*body[[]client.Happened], error) {
	shown, err := s.eventsShown(ctx, in.EventFilter)
	if err != nil {
		return nil, err
	}
	all, _ := s.Controller.Events().All()
	all = shown(all)
	all = all[max(0, len(all)-in.Limit):]
	list := make([]client.Happened, len(all))
	for i, e := range all {
		list[i] = client.Happened{Name: e.Key.Name, Happening: *events.Of(e), Revision: e.Modified}
	}
	return &body[[]client.Happened]{list}, nil
}

type watchEventsQuery struct {
	client.EventFilter
	From
}

func (s *server) watchEvents(ctx context.Context, in *watchEventsQuery) (*huma.StreamResponse, error) {
	shown, err := s.eventsShown(ctx, in.EventFilter)
	if err != nil {
		return nil, err
	}
	log := s.Controller.Events()
	w := &watcher{server: s, caller: access.From(ctx), pace: usualPace}
	w.of = source{log.Window(), func() ([]store.Event, store.Revision) {
		all, at := log.All()
		return shown(all), at
	}, shown}
	return w.answer(ctx, in.From)
}

// eventsShown chooses of events what a caller asks for and may see.
func (s *server) eventsShown(ctx context.Context, f client.EventFilter) (func([]store.Event) []store.Event, error) {
	caller := access.From(ctx)
	tenant, err := visibleTenant(ctx, f.Tenant)
	if err != nil {
		return nil, err
	}
	since, err := sinceWhen(f.Since, time.Now())
	if err != nil {
		return nil, malformed(err.Error())
	}
	if err := checkWhats(f.Kinds); err != nil {
		return nil, malformed(err.Error())
	}
	var born store.Revision // a tenant that is made anew under a name is another one
	if caller.Role == store.RoleTenant {
		s.Controller.View(func(state *store.State) {
			if t := state.Tenant(caller.Tenant); t != nil {
				born = t.Created
			}
		})
	}
	wanted := func(e store.Event) bool {
		h := events.Of(e)
		return e.Object != nil && !h.Last.Before(since) && (tenant == "" || h.Tenant == tenant) && (f.Host == "" || slices.Contains(h.Hosts, f.Host)) &&
			(len(f.Kinds) == 0 || slices.ContainsFunc(f.Kinds, h.What.In)) && e.Created > born && sees(caller, h)
	}
	return func(list []store.Event) (shown []store.Event) {
		for _, e := range list {
			if wanted(e) {
				shown = append(shown, told(caller, e))
			}
		}
		return shown
	}, nil
}

// sees reports whether a caller is shown an event. Who may use the API is for those who say so.
func sees(c access.Caller, h *store.Happening) bool {
	return c.Sees(h.Tenant) && (c.Role == store.RoleAdmin || !strings.HasPrefix(h.Object, "token "))
}

// told is an event as a caller is shown it. A tenant is not told who else changed something.
func told(c access.Caller, e store.Event) store.Event {
	if h := events.Of(e); c.Role == store.RoleTenant && h.Who != "" && h.Who != c.Name {
		shown := *h
		shown.Who = ""
		e.Object = &shown
	}
	return e
}

// sinceWhen reads a duration before now, or a time; the zero time where nothing is said.
func sinceWhen(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("since %q: give a duration before now such as 1h, or a time such as 2026-01-02T15:04:05Z", text)
	}
	return at, nil
}

// checkWhats refuses what is neither a kind of event nor a group of them.
func checkWhats(kinds []string) error {
	for _, kind := range kinds {
		if !slices.ContainsFunc(store.Whats(), func(w store.What) bool { return w.In(kind) }) {
			return fmt.Errorf("kind %q: events have kinds %s", kind, joined(store.Whats()))
		}
	}
	return nil
}

func joined(whats []store.What) string {
	var names []string
	for _, w := range whats {
		names = append(names, string(w))
	}
	return strings.Join(names, ", ")
}

// written notes who changed what.
func (s *server) written(c access.Caller, e access.Entry) {
	s.Controller.Events().Note(store.Happening{What: store.Changed, Object: e.Object, Tenant: tenantNamed(e.Object), Text: e.Operation, Who: c.Name})
}

// tenantNamed is the tenant to which what the audit log calls an object belongs; empty: to none.
func tenantNamed(object string) string {
	for _, kind := range []string{"tenant ", "network ", "port ", "publication ", "sticky name ", "peering "} {
		if name, is := strings.CutPrefix(object, kind); is {
			tenant, _, _ := strings.Cut(name, "/")
			if store.ValidateName(tenant) == nil {
				return tenant
			}
		}
	}
	return ""
}
