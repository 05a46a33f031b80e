package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sluice/store"
)

// WatchQuery says what is watched. The zero one is all that the caller sees, beginning with what is there.
type WatchQuery struct {
	Kinds  []store.Kind
	Tenant string
	After  store.Revision // 0: begin with what is there
}

func (q WatchQuery) query() url.Values {
	kinds := make([]string, len(q.Kinds))
	for i, kind := range q.Kinds {
		kinds[i] = string(kind)
	}
	return query("kinds", strings.Join(kinds, ","), "tenant", q.Tenant)
}

// Pauses of a watch.
const (
	silence   = 45 * time.Second // after which a connection counts as dead: bookmarks come every 15 s
	leastWait = 100 * time.Millisecond
	mostWait  = 5 * time.Second
)

// Watch yields what changes, until ctx ends, the loop is left, or the watch cannot go on. Where the connection is
// lost it connects again and goes on where it was, so that each change comes once. What a watch begins with adds up to
// the cluster at the first bookmark; before that, a lost connection ends the watch. An error is the last that it yields:
// ErrGone says that changes were missed, and that the caller is to begin anew.
func (c *Client) Watch(ctx context.Context, q WatchQuery) iter.Seq2[Change, error] {
	return c.watch(ctx, "/v1/watch", q.query(), q.After)
}

// watch is Watch at a path.
func (c *Client) watch(ctx context.Context, path string, q url.Values, after store.Revision) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		w := &watching{Client: c, path: path, query: q, at: after, yield: yield}
		for wait := time.Duration(0); ; {
			pause(ctx, wait)
			before := w.at
			err := w.connect(ctx)
			switch {
			case w.left:
				return
			case ctx.Err() != nil:
				yield(Change{}, ctx.Err())
				return
			case !w.begun || w.at == 0 || !passes(err):
				yield(Change{}, err)
				return
			case w.at > before:
				wait = leastWait
			}
			wait = min(max(2*wait, leastWait), mostWait)
		}
	}
}

// watching is one run of Watch.
type watching struct {
	*Client
	path  string
	query url.Values
	yield func(Change, error) bool

	at    store.Revision // up to which all was yielded; 0: nothing can be gone on from
	begun bool           // the API answered once
	left  bool           // the caller has enough
}

// connect asks once, and yields until the answer ends.
func (w *watching) connect(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := w.request(ctx, http.MethodGet, with(w.path, w.query), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/event-stream")
	if w.at > 0 {
		req.Header.Set("Last-Event-ID", strconv.FormatInt(int64(w.at), 10))
	}
	resp, err := w.http.Do(req)
	if err != nil {
		return &UnreachableError{URL: w.url, Err: cause(err)}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return problem(resp)
	}
	w.begun = true
	dead := time.AfterFunc(silence, cancel)
	defer dead.Stop()
	lines := bufio.NewReader(resp.Body)
	for !w.left {
		e, err := readEvent(lines)
		if err != nil {
			return &UnreachableError{URL: w.url, Err: err}
		}
		dead.Reset(silence)
		if err := w.take(e); err != nil {
			return err
		}
	}
	return nil
}

// take yields what one event says.
func (w *watching) take(e event) error {
	if e.name == EventProblem {
		p := &Problem{}
		if err := json.Unmarshal([]byte(e.data), p); err != nil {
			return fmt.Errorf("event of %s: %w", w.url, err)
		}
		return p
	}
	var c Change
	if err := json.Unmarshal([]byte(e.data), &c); err != nil {
		return fmt.Errorf("event of %s: %w", w.url, err)
	}
	if !w.yield(c, nil) {
		w.left = true
	}
	if id, err := strconv.ParseInt(e.id, 10, 64); err == nil {
		w.at = store.Revision(id)
	}
	return nil
}

// event is one server-sent event.
type event struct{ name, id, data string }

// readEvent reads up to the empty line that ends an event.
func readEvent(lines *bufio.Reader) (e event, err error) {
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return event{}, err
		}
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			if e.data != "" {
				return e, nil
			}
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			e.name = value
		case "id":
			e.id = value
		case "data":
			e.data += value
		}
	}
}

// pause waits, unless ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// passes reports whether it may help to ask again.
func passes(err error) bool {
	var problem *Problem
	return !errors.As(err, &problem) || errors.Is(err, ErrUnavailable)
}
