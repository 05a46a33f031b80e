package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"strings"

	"sluice/store"
)

// Happened is an event: something that happened to the cluster, once or several times.
type Happened struct {
	Name string `json:"name" doc:"the same for as long as it is the same event"`
	store.Happening
	Revision store.Revision `json:"revision" doc:"at which it was written last"`
}

// EventFilter says which events are meant. It is exported for the library that reads it.
type EventFilter struct {
	Tenant string   `query:"tenant" doc:"only this tenant's"`
	Host   string   `query:"host" doc:"only of this host"`
	Kinds  []string `query:"kinds" doc:"only of these kinds, or groups of kinds: host is all that begin with host-" example:"[\"gateway-moved\",\"host\"]"`
	Since  string   `query:"since" doc:"only what happened since: a duration before now, or a time as RFC 3339 has it" example:"1h"`
}

// query is what a client asks for.
func (f EventFilter) query() url.Values {
	return query("tenant", f.Tenant, "host", f.Host, "kinds", strings.Join(f.Kinds, ","), "since", f.Since)
}

// Events lists what happened, the last at the end: the last limit of it; 0: all that is kept.
func (c *Client) Events(ctx context.Context, f EventFilter, limit int) ([]Happened, error) {
	q := f.query()
	if limit > 0 {
		q.Set("limit", fmt.Sprint(limit))
	}
	return get[[]Happened](ctx, c, "/v1/events", q)
}

// WatchEvents yields what happened since, and what happens, as Watch does: an event that happened again comes again, with
// a larger count. Where the controller does not know any more how far it came, it begins anew, and passes by what it yielded.
func (c *Client) WatchEvents(ctx context.Context, f EventFilter) iter.Seq2[Happened, error] {
	return func(yield func(Happened, error) bool) {
		counts := map[string]int{}
		for again := true; again; {
			again = false
			for change, err := range c.watch(ctx, "/v1/events/watch", f.query(), 0) {
				var h Happened
				if err == nil {
					h, err = happened(change)
				}
				switch {
				case errors.Is(err, ErrGone):
					again = true
				case err != nil:
					yield(Happened{}, err)
					return
				case h.Name != "" && counts[h.Name] != h.Count:
					counts[h.Name] = h.Count
					if !yield(h, nil) {
						return
					}
				}
			}
		}
	}
}

// happened is what a change of a watch says; the zero one of a bookmark.
func happened(c Change) (Happened, error) {
	o, err := c.Stored()
	h, ok := o.(*store.Happening)
	if err != nil || !ok {
		return Happened{}, err
	}
	return Happened{c.Name, *h, c.Revision}, nil
}
