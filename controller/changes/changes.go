// Package changes keeps the last changes of the store, for those who watch it by the API.
//
// In the loop it observes the picture: what a batch of etcd's watch said of objects that people see stays here until
// newer changes take its place. All watchers read one window, each from the revision that it has reached, so that a
// watcher costs etcd nothing and a slow one holds up nobody.
//
// It must never wait for a watcher, and never pass over a change in silence: who comes too late is told so.
package changes

import (
	"fmt"
	"slices"
	"sync"

	"sluice/controller/cluster"
	"sluice/controller/signal"
	"sluice/store"
)

// most bounds how many changes a window keeps: minutes of a busy cluster, days of a quiet one.
const most = 16384

// perLook bounds how many changes one look returns, but for those of one batch.
const perLook = 512

// Kinds are what may be watched: what people see of the cluster, but for who may use the API. They come in this order
// where a watch begins.
func Kinds() []store.Kind {
	return []store.Kind{
		store.KindTenant, store.KindNetwork, store.KindHost, store.KindPort, store.KindGateway, store.KindPeering, store.KindPublication,
		store.KindSticky,
	}
}

// Window is the last changes of some kinds. It is safe for concurrent use.
type Window struct {
	kinds map[store.Kind]bool
	most  int
	news  signal.Broadcast

	mu      sync.Mutex
	batches []store.Batch  // oldest first; none is empty
	held    int            // changes in them
	since   store.Revision // every change after it is in batches
	last    store.Revision // up to which all is known
	begun   bool           // the first batch was there
}

// New makes a window of the changes of kinds.
func New(kinds ...store.Kind) *Window {
	w := &Window{kinds: map[store.Kind]bool{}, most: most}
	for _, kind := range kinds {
		w.kinds[kind] = true
	}
	return w
}

// Observe takes in what a batch says. The first one is the whole store, and no change.
func (w *Window) Observe(u cluster.Update) {
	defer w.news.Send()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = u.Batch.Revision
	if !w.begun {
		w.begun, w.since = true, w.last
		return
	}
	b := store.Batch{Revision: u.Batch.Revision}
	for _, e := range u.Batch.Events {
		if w.kinds[e.Key.Kind] {
			b.Events = append(b.Events, e)
		}
	}
	if len(b.Events) > 0 {
		w.batches, w.held = append(w.batches, b), w.held+len(b.Events)
	}
	w.forget()
}

// forget drops the oldest batches while there are too many changes.
func (w *Window) forget() {
	n := 0
	for w.held > w.most {
		w.held -= len(w.batches[n].Events)
		w.since = w.batches[n].Revision
		n++
	}
	if n > 0 {
		w.batches = slices.Delete(w.batches, 0, n)
	}
}

// GoneError says that changes after a revision are not kept any more.
type GoneError struct{ Asked, Since store.Revision }

func (e GoneError) Error() string {
	return fmt.Sprintf("the changes after revision %d are not kept any more, only those after %d: begin anew without a revision", e.Asked, e.Since)
}

// Look is what happened after a revision.
type Look struct {
	Batches []store.Batch
	UpTo    store.Revision  // they are all of the changes up to here
	News    <-chan struct{} // closed when there is more
}

// After looks at what happened after a revision. Where there is much, it is a part of that, and who asks again after
// UpTo gets the next one. It fails with a GoneError where a part is not kept any more.
func (w *Window) After(rev store.Revision) (Look, error) {
	look := Look{News: w.news.Wait()} // before the look, so that nothing is missed
	w.mu.Lock()
	defer w.mu.Unlock()
	if rev < w.since {
		return Look{}, GoneError{rev, w.since}
	}
	from, _ := slices.BinarySearchFunc(w.batches, rev+1, func(b store.Batch, rev store.Revision) int { return int(b.Revision - rev) })
	look.UpTo = max(rev, w.last)
	n := 0
	for i, b := range w.batches[from:] {
		if n += len(b.Events); n > perLook && i > 0 {
			look.UpTo = look.Batches[i-1].Revision
			break
		}
		look.Batches = append(look.Batches, b)
	}
	return look, nil
}
