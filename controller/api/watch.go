package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"sluice/controller/access"
	"sluice/controller/changes"
	"sluice/controller/client"
	"sluice/store"
)

func (s *server) watches(a huma.API) {
	op := operation("watch", http.MethodGet, access.WatchPath, "watch", "Watch what changes, as server-sent events", access.Read)
	op.Description = "Without a revision the watch begins with a put of each object that is there, and a bookmark. Then each change comes as it happens: " +
		"event put or delete, with a Change as data. The id of an event is its revision; it stands with the last event of a revision, so that who goes on from an id, " +
		"by the header Last-Event-ID or the parameter after, misses nothing of a transaction. A bookmark comes every 15 seconds in which nothing else does. " +
		"The last changes are kept, 16384 of them: who asks for older ones is answered 410, and begins anew without a revision. A watcher that takes nothing for 10 seconds is dropped. " +
		"Where the controller ends a watch that goes on, the last event is a problem, with a problem document as data."
	op.Errors = append(op.Errors, http.StatusGone, http.StatusNotFound)
	op.Responses = map[string]*huma.Response{"200": {
		Description: "Events, until who asked leaves.",
		Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: a.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[client.Change](), true, "Change")}},
	}}
	huma.Register(a, op, s.watch)
}

type watchQuery struct {
	Kinds  []string `query:"kinds" doc:"only objects of these kinds; none: all that the caller sees" example:"[\"tenants\",\"networks\"]" enum:"tenants,networks,hosts,ports,gateways,peerings,published,stickies"`
	Tenant string   `query:"tenant" doc:"only this tenant's"`
	From
}

func (s *server) watch(ctx context.Context, in *watchQuery) (*huma.StreamResponse, error) {
	w := &watcher{server: s, caller: access.From(ctx), pace: usualPace}
	w.of = w.cluster()
	var err error
	if w.tenant, err = visibleTenant(ctx, in.Tenant); err != nil {
		return nil, err
	}
	if err := s.checkNames(w.tenant, "", ""); err != nil {
		return nil, err
	}
	if w.kinds, err = watchedKinds(w.caller, in.Kinds); err != nil {
		return nil, huma.Error403Forbidden(err.Error())
	}
	return w.answer(ctx, in.From)
}

// answer begins a watch where a request says, and answers with what it tells.
func (w *watcher) answer(ctx context.Context, from From) (_ *huma.StreamResponse, err error) {
	if w.at, err = from.revision(); err != nil {
		return nil, malformed(err.Error())
	}
	if err := w.begin(ctx); err != nil {
		return nil, huma.NewError(http.StatusGone, err.Error())
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		_, answer := humago.Unwrap(hc)
		w.run(ctx, answer)
	}}, nil
}

// From is where a request goes on from. It is exported for the library that reads it.
type From struct {
	After  store.Revision `query:"after" minimum:"0" doc:"go on after this revision; 0: begin with what is there"`
	LastID string         `header:"Last-Event-ID" doc:"the id of the last event that was seen, as a browser sends it when it connects again; it counts more than after"`
}

func (f From) revision() (store.Revision, error) {
	if f.LastID == "" {
		return f.After, nil
	}
	rev, err := strconv.ParseInt(f.LastID, 10, 64)
	if err != nil || rev < 0 {
		return 0, fmt.Errorf("the header Last-Event-ID is %q: it is to be the id of an event, which is a revision", f.LastID)
	}
	return store.Revision(rev), nil
}

// watchedKinds are the kinds that somebody asks for, or all that they see.
func watchedKinds(c access.Caller, asked []string) (kinds []store.Kind, err error) {
	for _, kind := range changes.Kinds() {
		seen := kind != store.KindHost || c.Role != store.RoleTenant
		wanted := slices.Contains(asked, string(kind))
		if wanted && !seen {
			return nil, fmt.Errorf("%s has role %s, and hosts are for admin and viewer", c.Name, c.Role)
		}
		if seen && (wanted || len(asked) == 0) {
			kinds = append(kinds, kind)
		}
	}
	return kinds, nil
}

// pace is how a watch goes.
type pace struct {
	quiet    time.Duration // after which a bookmark says that the watch lives, and the caller is looked at again
	patience time.Duration // with a watcher that takes nothing
}

var usualPace = pace{quiet: 15 * time.Second, patience: 10 * time.Second}

// source is what is watched.
type source struct {
	window *changes.Window
	// first is what is there that the watcher sees, in order, and as of which revision.
	first func() ([]store.Event, store.Revision)
	// shown are those of some events that it sees, as it sees them.
	shown func(events []store.Event) []store.Event
}

// cluster is what people see of the cluster.
func (w *watcher) cluster() source { return source{w.Controller.Changes(), w.objects, w.visible} }

// objects are those of the watched kinds.
func (w *watcher) objects() (list []store.Event, at store.Revision) {
	w.Controller.View(func(state *store.State) {
		at = state.Revision()
		for _, kind := range w.kinds {
			list = append(list, w.visible(state.Objects(kind))...)
		}
	})
	return byKind(list), at
}

// watcher tells one caller what changes.
type watcher struct {
	*server
	of     source
	caller access.Caller
	kinds  []store.Kind
	tenant string // whose objects alone it sees; empty: all
	pace   pace

	at      store.Revision // up to which all was told
	resumed bool           // it goes on where another one ended
	first   []store.Event  // what is there when it begins
}

// begin decides what comes first.
func (w *watcher) begin(ctx context.Context) error {
	if w.at == 0 {
		w.first, w.at = w.of.first()
		return nil
	}
	w.resumed = true
	look, err := w.of.window.After(w.at)
	if err != nil || look.UpTo > w.at {
		return err
	}
	if now, err := w.revisionNow(ctx); err == nil && now < w.at { // while etcd is away it may be right
		return fmt.Errorf("revision %d is not of this store, which is at %d: begin anew without a revision", w.at, now)
	}
	return nil
}

// revisionNow is the store's; this controller may not have seen it yet.
func (w *watcher) revisionNow(ctx context.Context) (now store.Revision, err error) {
	w.Controller.View(func(state *store.State) { now = state.Revision() })
	if now >= w.at {
		return now, nil
	}
	_, now, err = w.Store.List(ctx, store.KindSettings)
	return now, err
}

// visible are those of some events that the watcher sees.
func (w *watcher) visible(events []store.Event) (seen []store.Event) {
	for _, e := range events {
		if !slices.Contains(w.kinds, e.Key.Kind) {
			continue
		}
		if w.tenant == "" || e.Key.Tenant == w.tenant {
			seen = append(seen, e)
		} else if e.Key.Kind == store.KindPeering && e.Key.Name == w.tenant {
			seen = append(seen, offered(w.caller, e))
		}
	}
	return seen
}

// offered is what a tenant sees of another one's word about it: not who said it.
func offered(c access.Caller, e store.Event) store.Event {
	if word, ok := e.Object.(*store.Peering); ok && !c.Sees(e.Key.Tenant) {
		told := *word
		told.By = ""
		e.Object = &told
	}
	return e
}

// run tells until the caller leaves, is no longer who they were, or is too slow.
func (w *watcher) run(ctx context.Context, answer http.ResponseWriter) {
	out := &eventWriter{w: answer, connection: http.NewResponseController(answer), patience: w.pace.patience}
	header := answer.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // a proxy is to pass events on as they come
	err := w.tell(ctx, out)
	var status huma.StatusError
	switch {
	case errors.As(err, &status):
		_ = out.problem(status) // whoever left does not hear it
	case errors.Is(err, os.ErrDeadlineExceeded): // else who watched has left
		w.Log.Warn("watcher dropped", "who", w.caller.Name, "rev", w.at, "err", err)
	}
}

// tell returns why it ends; nil: the server ends, and who watches asks another one.
func (w *watcher) tell(ctx context.Context, out *eventWriter) error {
	if err := w.tellFirst(out); err != nil {
		return err
	}
	beat := time.NewTicker(w.pace.quiet)
	defer beat.Stop()
	for {
		look, err := w.of.window.After(w.at)
		if err != nil {
			return huma.NewError(http.StatusGone, "this watch is too slow: "+err.Error())
		}
		if err := access.Still(ctx); err != nil {
			return huma.Error401Unauthorized(err.Error())
		}
		told, err := w.tellBatches(out, look.Batches)
		if err != nil {
			return err
		}
		w.at = look.UpTo
		if told {
			beat.Reset(w.pace.quiet)
		}
		if len(look.Batches) > 0 { // there may be more already
			look.News = alreadyThere()
		}
		select {
		case <-beat.C:
			if err := out.event(client.Change{Event: client.EventBookmark, Revision: w.at}, w.at); err != nil {
				return err
			}
		case <-look.News:
		case <-access.Ending(ctx):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// alreadyThere is a channel that nobody waits for.
func alreadyThere() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// tellFirst tells what is there, and up to which revision.
func (w *watcher) tellFirst(out *eventWriter) error {
	if w.resumed {
		return out.write(": going on\n\n")
	}
	for _, e := range w.first {
		if err := out.event(changeOf(e), 0); err != nil {
			return err
		}
	}
	w.first = nil
	return out.event(client.Change{Event: client.EventBookmark, Revision: w.at}, w.at)
}

// byKind sorts objects by the order of their kinds, and by key.
func byKind(events []store.Event) []store.Event {
	place := map[store.Kind]string{}
	for i, kind := range changes.Kinds() {
		place[kind] = string(rune('a' + i))
	}
	type named struct { // a key's text is made once
		name  string
		event store.Event
	}
	list := make([]named, len(events))
	for i, e := range events {
		list[i] = named{place[e.Key.Kind] + e.Key.Short(), e}
	}
	slices.SortFunc(list, func(a, b named) int { return strings.Compare(a.name, b.name) })
	for i := range list {
		events[i] = list[i].event
	}
	return events
}

// tellBatches reports whether there was anything that the watcher sees.
func (w *watcher) tellBatches(out *eventWriter, batches []store.Batch) (told bool, err error) {
	for _, b := range batches {
		seen := w.of.shown(b.Events)
		for i, e := range seen {
			id := store.Revision(0)
			if i == len(seen)-1 {
				id = b.Revision
			}
			if err := out.event(changeOf(e), id); err != nil {
				return told, err
			}
			told = true
		}
	}
	return told, nil
}

// changeOf is what a watch tells of an event.
func changeOf(e store.Event) client.Change {
	c := client.Change{Event: client.EventDelete, Kind: e.Key.Kind, Host: e.Key.Host, Tenant: e.Key.Tenant, Network: e.Key.Network, Name: e.Key.Name, Revision: e.Modified}
	if e.Object != nil {
		c.Event, c.Created = client.EventPut, e.Created
		c.Object, _ = store.Encode(e.Object) // it was decoded from that
	}
	return c
}

// eventWriter writes server-sent events.
type eventWriter struct {
	w          io.Writer
	connection *http.ResponseController
	patience   time.Duration
}

// event writes a change; with an id it is one from which a watch can go on.
func (o *eventWriter) event(c client.Change, id store.Revision) error {
	data, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode an event: %w", err)
	}
	text := "event: " + c.Event + "\n"
	if id > 0 {
		text += "id: " + strconv.FormatInt(int64(id), 10) + "\n"
	}
	return o.write(text + "data: " + string(data) + "\n\n")
}

// problem writes why the watch ends.
func (o *eventWriter) problem(why error) error {
	data, err := json.Marshal(why)
	if err != nil {
		return fmt.Errorf("encode a problem: %w", err)
	}
	return o.write("event: " + client.EventProblem + "\ndata: " + strings.ReplaceAll(string(data), "\n", " ") + "\n\n")
}

// write sends one event at once. It fails where nobody takes it in time.
func (o *eventWriter) write(text string) error {
	if err := o.connection.SetWriteDeadline(time.Now().Add(o.patience)); err != nil {
		return fmt.Errorf("bound the time of an event: %w", err)
	}
	if _, err := io.WriteString(o.w, text); err != nil {
		return fmt.Errorf("not taken within %v: %w", o.patience, err)
	}
	if err := o.connection.Flush(); err != nil {
		return fmt.Errorf("not taken within %v: %w", o.patience, err)
	}
	return nil
}
