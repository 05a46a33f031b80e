package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"sluice/store"
)

// mendLimit is how long after a fault's end all must be as before.
const mendLimit = 90 * time.Second

// askLimit is how long a controller may take to answer.
const askLimit = 5 * time.Second

// crew are the breakers of a run. They never touch one part at once.
type crew struct {
	*run
	mu   sync.Mutex
	busy map[string]bool
}

func newCrew(r *run) *crew { return &crew{run: r, busy: map[string]bool{}} }

// work begins and ends one fault after another. A fault that has begun ends whatever happens.
func (c *crew) work(ctx context.Context, choose *rand.Rand) error {
	for pause(ctx, settleTime) {
		f := makers[choose.IntN(len(makers))](c.world, choose)
		length := f.length
		if length == 0 {
			length = 500*time.Millisecond + time.Duration(choose.Int64N(int64(6*time.Second)))
		}
		if !c.take(f.parts) {
			continue
		}
		err := c.breakOnce(ctx, f, length)
		c.release(f.parts)
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (c *crew) take(parts []string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range parts {
		if c.busy[p] {
			return false
		}
	}
	for _, p := range parts {
		c.busy[p] = true
	}
	return true
}

func (c *crew) release(parts []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range parts {
		delete(c.busy, p)
	}
}

// breakOnce begins a fault, ends it, and waits until it is mended.
func (c *crew) breakOnce(ctx context.Context, f fault, length time.Duration) error {
	whatever := context.WithoutCancel(ctx)
	w := c.history.begin(f.kind, f.what, f.harms)
	err := f.begin(whatever)
	pause(ctx, length)
	if f.end != nil {
		err = errors.Join(err, f.end(whatever))
	}
	c.history.end(w)
	if err != nil {
		return fmt.Errorf("%s: %w", f.what, err)
	}
	return c.awaitMended(ctx, w)
}

// awaitMended waits until traffic passes where the fault may have stopped it, and the
// switches there hold what they should.
func (c *crew) awaitMended(ctx context.Context, w *window) error {
	last := ""
	for time.Since(w.ended) < mendLimit {
		why := c.unmended(ctx, w)
		if why == nil {
			c.history.mend(w)
			return nil
		}
		if !pause(ctx, 200*time.Millisecond) {
			return ctx.Err() // the end judges it
		}
		if why.Error() != last {
			last = why.Error()
			c.history.note("%s: not mended: %s", w.what, last)
		}
	}
	return fmt.Errorf("%s: not mended %s after it ended: %s", w.what, mendLimit, last)
}

// unmended says what is not yet as it was. A pair, or a host, that another fault harms now says
// nothing.
func (c *crew) unmended(ctx context.Context, w *window) error {
	harmed := func(p pair) bool {
		return w.harms(p.from.Host, p.to.Host) && !c.history.othersHarm(w, p.from.Host, p.to.Host)
	}
	if !c.traffic.passes(w.ended, harmed) {
		return errors.New("a pair of containers does not reach each other")
	}
	for _, h := range c.world.lab.Hosts {
		if c.history.othersHarm(w, h.Name, h.Name) {
			continue
		}
		if err := c.world.differs(ctx, h.Name); err != nil {
			return err
		}
	}
	return nil
}

// othersHarm reports whether another fault that is not mended harms traffic between two hosts.
func (h *history) othersHarm(but *window, from, to string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range h.windows {
		if w != but && w.relink == nil && w.mended.IsZero() && w.harms(from, to) {
			return true
		}
	}
	return false
}

// differs asks the host's own master whether the switch holds exactly what is compiled anew.
func (w *world) differs(ctx context.Context, host string) error {
	ctx, cancel := context.WithTimeout(ctx, askLimit) // a paused controller does not answer
	defer cancel()
	var last error
	for _, m := range w.lab.Controllers {
		st, err := ask[status](ctx, w.sluice, m.NetNS, "status")
		if err != nil {
			last = err
			continue
		}
		for _, h := range st.Hosts {
			if h.Name == host && h.Master == m.Name {
				if h.State != store.HostRealized {
					return fmt.Errorf("host %s is %s", host, h.State)
				}
				_, err := w.in(ctx, m.NetNS, "flows", "--host", host, "--diff")
				return err
			}
		}
		last = fmt.Errorf("host %s has no master that answers", host)
	}
	return last
}

// status is what is read of sluice status -o json.
type status struct {
	Revision store.Revision
	Hosts    []struct {
		Name     string
		State    store.HostState
		Master   string
		Realized store.Revision
	}
}
