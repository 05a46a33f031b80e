package hostagent

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"sluice/store"
)

// This file makes probes of a busy switch go less often, so that it is not taken for dead, and takes nobody for dead. Of both
// ends of a probe the larger interval counts (RFC 5880, 6.8.2 and 6.8.4), so that no other host need be told.
//
// Open vSwitch's main thread takes what comes and does all else: while it works through a bundle of 100,000 flows it hears nothing,
// for 0.2 s and more. A thread of its own sends probes, and says that others are dead: it goes on meanwhile. So a switch whose main thread
// answers late hears others less often, and these find it dead as early as before. Where that other thread waits for a processor,
// the switch is heard less often.

const (
	// slackInterval is between two looks how late the switch is.
	slackInterval = 100 * time.Millisecond
	// slackMost is the most that busyness makes of an interval: store.ProbesMissed of them are less than the leader waits.
	slackMost = time.Second
	// slackCalm is for how long a switch was not that late before its probes go twice as often again. Each change
	// is work for the switch, which looks at all of its ports.
	slackCalm = time.Minute
)

// slack is how often an interval is doubled. The zero slack leaves it.
type slack struct {
	doubled int
	needed  time.Time // when as much was needed last
}

// of is an interval with the slack.
func (s slack) of(every time.Duration) time.Duration { return every << s.doubled }

// late notes that the switch was late, at a time, and reports whether the slack is another since then. A switch may be late by one interval:
// store.ProbesMissed of these pass until it is taken for dead.
func (s *slack) late(by, every time.Duration, at time.Time) bool {
	need := 0
	for every<<need < by && every<<(need+1) <= slackMost {
		need++
	}
	switch {
	case need >= s.doubled:
		changed := need > s.doubled
		s.doubled, s.needed = need, at
		return changed
	case at.Sub(s.needed) < slackCalm:
		return false
	}
	s.doubled, s.needed = s.doubled-1, at
	return true
}

// slacks are those of what a switch hears and of what it says.
type slacks struct{ hear, say slack }

// busy watches how late the switch is until ctx ends, and changes its probes by that. It asks no etcd.
func (p *probes) busy(ctx context.Context) {
	says := sayer{runDir: p.o.RunDir}
	for ; ctx.Err() == nil; pause(ctx, slackInterval) {
		every := p.every()
		if every == 0 {
			continue
		}
		hears, err := answerTime(ctx, p.o.RunDir)
		if err != nil {
			continue // it does not run
		}
		if p.late(hears, says.late(), every, time.Now()) {
			p.problems.report("intervals of probes", p.tune(ctx))
		}
	}
}

// late notes how late the switch was, and reports whether its probes are to go otherwise.
func (p *probes) late(hears, says, every time.Duration, at time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	hear, say := p.slacks.hear.late(hears, every, at), p.slacks.say.late(says, every, at)
	return hear || say || p.untuned
}

// every is how often probes go that nothing makes late; 0: there are none.
func (p *probes) every() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.interval
}

// tune makes the probes that are raised go as they should by now.
func (p *probes) tune(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	is, err := p.is(ctx)
	if err == nil {
		err = p.db.EnsurePort(ctx, store.BridgeName, p.mistuned(is)...)
	}
	p.mu.Lock()
	p.untuned = err != nil
	p.mu.Unlock()
	return err
}

// answerTime is how long the switch's main thread takes to answer.
func answerTime(ctx context.Context, runDir string) (time.Duration, error) {
	start := time.Now()
	c, err := dialSwitch(ctx, runDir)
	if err != nil {
		return 0, err
	}
	defer c.close()
	err = c.call("version")
	return time.Since(start), err
}

// sayer is the thread of a switch that sends probes.
type sayer struct {
	runDir string
	pid    string
	file   string        // its schedstat; empty: not found yet
	waited time.Duration // for a processor, since it began
}

// late is how long the thread waited for a processor since it was asked last.
func (s *sayer) late() time.Duration {
	pid, err := switchPID(s.runDir)
	if err != nil {
		return 0
	}
	known := s.file != "" && s.pid == pid
	if !known {
		s.pid, s.file = pid, monitorThread(pid)
	}
	text, _ := os.ReadFile(s.file)
	fields := strings.Fields(string(text)) // on a processor, waiting for one (in ns), turns: sched-stats.rst of Linux
	if len(fields) < 2 {
		s.file = "" // Open vSwitch has the thread only while there are probes
		return 0
	}
	ns, _ := strconv.ParseInt(fields[1], 10, 64) // else 0
	before := s.waited
	if s.waited = time.Duration(ns); !known {
		return 0
	}
	return s.waited - before
}

// monitorThread is the schedstat of a switch's thread that sends probes; empty: it has none.
func monitorThread(pid string) string {
	names, _ := filepath.Glob(filepath.Join("/proc", pid, "task", "*", "comm")) // the pattern is right
	for _, name := range names {
		if comm, err := os.ReadFile(name); err == nil && strings.HasPrefix(string(comm), "monitor") {
			return filepath.Join(filepath.Dir(name), "schedstat")
		}
	}
	return ""
}
