package chaos

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// harm is whose traffic something may harm.
type harm func(fromHost, toHost string) bool

func harmless(string, string) bool { return false }

// harmsHost is the harm of what touches the switch of a host, or an interface of it.
func harmsHost(host string) harm {
	return func(from, to string) bool { return from == host || to == host }
}

// harmsBetween is the harm of what parts two hosts.
func harmsBetween(a, b string) harm {
	return func(from, to string) bool { return from == a && to == b || from == b && to == a }
}

// grace widens a window on both sides: frames that are on their way when a fault begins, or
// queued when it is mended.
const grace = 300 * time.Millisecond

// window is one fault from its beginning until it is mended.
type window struct {
	kind, what string
	harms      harm
	begun      time.Time
	ended      time.Time // when the breaker undid what it did; zero: not yet
	mended     time.Time // when all was as before; zero: not yet
	lost       int
	relink     map[pair]int // not nil: a change of links, with what each pair lost by it
}

func (w *window) covers(l loss) bool {
	late := !w.mended.IsZero() && l.at.After(w.mended.Add(grace))
	if !w.harms(l.from.Host, l.to.Host) || late || l.at.Before(w.begun.Add(-grace)) {
		return false
	}
	return w.relink == nil || w.relink[pair{l.from, l.to}] < relinkLosses
}

// relinkLosses is how many packets each pair may lose by one change of a host's links.
//
// The userspace datapath reads the kernel's routes anew after each such change, and has none
// for some milliseconds: what leaves or enters by a tunnel then is lost, whoever changed the
// links. The kernel's datapath does not do that.
const relinkLosses = 3

// harmsTunnels is the harm of a change of a host's links.
func harmsTunnels(host string) harm {
	return func(from, to string) bool { return from != to && (from == host || to == host) }
}

// relinks opens a window for a change of a host's links, which the workload makes with each
// container; done closes it.
func (h *history) relinks(host string) (done func()) {
	w := &window{kind: kindAttach, harms: harmsTunnels(host), begun: time.Now(), relink: map[pair]int{}}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.windows = append(h.windows, w)
	return func() {
		h.end(w)
		h.mu.Lock()
		defer h.mu.Unlock()
		w.mended = w.ended
	}
}

// history is all that happened in a run, in order.
type history struct {
	out   io.Writer
	begun time.Time

	mu      sync.Mutex
	windows []*window
	lines   []string
	tally   map[string]int
}

func newHistory(out io.Writer) *history {
	if out == nil {
		out = io.Discard
	}
	return &history{out: out, begun: time.Now(), tally: map[string]int{}}
}

// note keeps a line, with the time since the beginning, and shows it.
func (h *history) note(format string, args ...any) {
	line := h.keep(format, args...)
	h.mu.Lock()
	defer h.mu.Unlock()
	fmt.Fprintln(h.out, line)
}

// keep keeps a line for whoever looks for the cause of a violation.
func (h *history) keep(format string, args ...any) string {
	line := fmt.Sprintf("%7.2fs  ", time.Since(h.begun).Seconds()) + fmt.Sprintf(format, args...)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, line)
	return line
}

// count adds to a number that the report shows.
func (h *history) count(what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tally[what]++
}

// begin opens a window. It must be called before anything breaks.
func (h *history) begin(kind, what string, harms harm) *window {
	h.note("%s", what)
	w := &window{kind: kind, what: what, harms: harms, begun: time.Now()}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.windows = append(h.windows, w)
	return w
}

// end notes that the breaker undid what it did.
func (h *history) end(w *window) {
	h.mu.Lock()
	w.ended = time.Now()
	h.mu.Unlock()
}

func (h *history) mend(w *window) {
	h.mu.Lock()
	w.mended = time.Now()
	took := w.mended.Sub(w.ended)
	h.mu.Unlock()
	h.note("%s: mended %.1f s after", w.what, took.Seconds())
}

// blame charges a lost packet to the first fault that may have harmed it, and reports whether
// there is one.
func (h *history) blame(l loss) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range h.windows {
		if !w.covers(l) {
			continue
		}
		w.lost++
		if w.relink != nil {
			w.relink[pair{l.from, l.to}]++
		}
		return true
	}
	return false
}

// harmed reports whether a fault may have harmed traffic between two hosts since a moment.
func (h *history) harmed(from, to string, since time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range h.windows {
		over := !w.mended.IsZero() && w.mended.Add(grace).Before(since)
		if w.relink == nil && w.harms(from, to) && !over {
			return true
		}
	}
	return false
}

// text is the history's end, for a violation.
func (h *history) text(lines int) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.lines[max(0, len(h.lines)-lines):], "\n")
}
