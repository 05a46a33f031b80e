package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	// leastIdle is the share of the processors that must have been idle while something was
	// measured that a network is to bound, and not the processors.
	leastIdle = 0.10
	// mostBusy is the share that may be busy while nothing is measured: what a lab at rest takes, and more.
	mostBusy = 0.25
	// quietLook is how long one look at a machine at rest takes, quietPatience how long a busy one is waited for.
	quietLook     = 300 * time.Millisecond
	quietPatience = 2 * time.Minute
	// starvedTries is how often a sample is taken before the comparison is given up.
	starvedTries = 3
)

// errStarved is of a sample that says how fast the processors were.
var errStarved = errors.New("thrown away: the processors, and not the network, were measured")

// processors are what the machine's processors did since it started, in their own ticks.
type processors struct{ idle, total float64 }

func readProcessors() (processors, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return processors{}, err
	}
	return parseProcessors(string(text))
}

// parseProcessors reads the first line: user, nice, system, idle, iowait, irq, softirq and steal. Time of guests is part of user's.
func parseProcessors(text string) (p processors, err error) {
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return p, fmt.Errorf("/proc/stat begins with %q, and not with the sum of its processors", line)
	}
	for i, field := range fields[1:9] {
		ticks, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return p, fmt.Errorf("/proc/stat: %w", err)
		}
		p.total += ticks
		if i == 3 || i == 4 { // who waits for a disk leaves the processor to others
			p.idle += ticks
		}
	}
	return p, nil
}

// idleSince is the share of the time since an earlier reading in which processors were idle. A machine
// that a hypervisor keeps from running was not idle.
func (p processors) idleSince(earlier processors) float64 {
	if p.total <= earlier.total {
		return 1
	}
	return (p.idle - earlier.idle) / (p.total - earlier.total)
}

// idleWhile is the share of the processors' time that was idle while do ran.
func idleWhile(do func() error) (float64, error) {
	before, err := readProcessors()
	if err != nil {
		return 0, err
	}
	if err := do(); err != nil {
		return 0, err
	}
	after, err := readProcessors()
	return after.idleSince(before), err
}

// quiet waits until the machine does nothing else than to keep the lab, or says that it is disturbed.
func (r *Run) quiet(ctx context.Context) error {
	if r.Unwatched {
		return nil
	}
	for deadline := time.Now().Add(quietPatience); ; {
		idle, err := idleWhile(func() error { return sleep(ctx, quietLook) })
		if err != nil || idle >= 1-mostBusy {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("disturbed: %.0f %% of the processors are busy while nothing is measured, for %s: "+
				"nothing is kept; end what else runs, and measure again", 100*(1-idle), quietPatience)
		}
	}
}

// spared takes a figure on a quiet machine, such that its processors had time to spare; else again, a few times.
func (r *Run) spared(ctx context.Context, take func() (float64, error)) (v float64, err error) {
	for range starvedTries {
		if err := r.quiet(ctx); err != nil {
			return 0, err
		}
		idle, err := idleWhile(func() (err error) {
			v, err = take()
			return err
		})
		if err != nil || r.Unwatched || idle >= leastIdle {
			return v, err
		}
		r.Step("a sample is thrown away: %.0f %% of the processors were idle", 100*idle)
	}
	return 0, fmt.Errorf("%w: less than %.0f %% of them were idle, %d times", errStarved, 100*leastIdle, starvedTries)
}

// undisturbed takes a figure on a quiet machine, of something that leaves no processor idle.
func (r *Run) undisturbed(ctx context.Context, take func() (float64, error)) (float64, error) {
	if err := r.quiet(ctx); err != nil {
		return 0, err
	}
	return take()
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
