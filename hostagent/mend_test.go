package hostagent

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// bench is a mender over keepers that do nothing but say that they were tried, and fail when told.
type bench struct {
	*mender
	registered bool
	known      bool
	tried      []string
	failing    map[string]bool
}

func newBench() *bench {
	b := &bench{failing: make(map[string]bool)}
	b.mender = newMender(newProblems(slog.New(slog.DiscardHandler)), func() bool { return b.registered }, func() bool { return b.known })
	b.keepers = []keeper{
		{name: "bridge"},
		{name: "port", needs: names{"bridge"}},
		{name: "option", needs: names{"port"}},
		{name: "address", after: names{"port"}},
		{name: "containers", needs: names{nameRegistration}},
		{name: "limits", aside: true, needs: names{nameTenantsKnown}},
		{name: "links", aside: true},
	}
	for n := range b.keepers {
		name := b.keepers[n].name
		b.keepers[n].try = func(context.Context) error {
			b.tried = append(b.tried, name)
			if b.failing[name] {
				return errors.New("broken")
			}
			return nil
		}
	}
	return b
}

func (b *bench) isUp() bool {
	select {
	case <-b.made:
		return true
	default:
		return false
	}
}

// TestRounds goes through rounds of one mender, in which keepers fail and recover.
func TestRounds(t *testing.T) {
	b := newBench()
	for _, c := range []struct {
		name       string
		failing    []string
		registered bool
		ok, up     bool
		tried      []string
		problems   []string
	}{
		{"what others need fails at first", []string{"bridge"}, true, false, false,
			[]string{"bridge", "containers", "links"}, []string{"bridge: broken"}},
		{"what comes after it waits for its first success", []string{"port"}, false, false, false,
			[]string{"bridge", "port", "links"}, []string{"port: broken"}},
		{"all are right that must be, and the host may register", []string{"links"}, false, false, true,
			[]string{"bridge", "port", "option", "address", "links"}, []string{"links: broken"}},
		{"one that fails stops no other", []string{"option", "address"}, true, false, true,
			[]string{"bridge", "port", "option", "address", "containers", "links"}, []string{"address: broken", "option: broken"}},
		{"what needs it shows no problem of its own, what comes after goes on", []string{"port", "option"}, true, false, true,
			[]string{"bridge", "port", "address", "containers", "links"}, []string{"port: broken"}},
		{"needs pass on", []string{"bridge"}, true, false, true,
			[]string{"bridge", "address", "containers", "links"}, []string{"bridge: broken"}},
		{"a failure under the registration", []string{"containers"}, true, false, true,
			[]string{"bridge", "port", "option", "address", "containers", "links"}, []string{"containers: broken"}},
		{"is forgotten without it", []string{"containers"}, false, true, true,
			[]string{"bridge", "port", "option", "address", "links"}, nil},
		{"what an earlier agent was told needs no registration", nil, false, true, true,
			[]string{"bridge", "port", "option", "address", "limits", "links"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.registered, b.tried = c.registered, nil
			b.known = slices.Contains(c.tried, "limits")
			clear(b.failing)
			for _, name := range c.failing {
				b.failing[name] = true
			}
			if ok := b.round(t.Context()); ok != c.ok {
				t.Errorf("the round succeeded %v, want %v", ok, c.ok)
			}
			if b.isUp() != c.up {
				t.Errorf("the host may register %v, want %v", b.isUp(), c.up)
			}
			if diff := cmp.Diff(c.tried, b.tried); diff != "" {
				t.Errorf("tried: -want +got\n%s", diff)
			}
			if diff := cmp.Diff(c.problems, b.problems.list()); diff != "" {
				t.Errorf("problems: -want +got\n%s", diff)
			}
		})
	}
}

// An agent that is told to stop has no problem, and nothing counts as made.
func TestRoundAtTheEnd(t *testing.T) {
	b := newBench()
	ctx, cancel := context.WithCancel(t.Context())
	b.keepers = []keeper{{name: "bridge", try: func(ctx context.Context) error {
		cancel()
		return ctx.Err()
	}}}
	if b.round(ctx) || b.isUp() || len(b.problems.list()) > 0 {
		t.Errorf("up %v, problems %v; want neither", b.isUp(), b.problems.list())
	}
}

// TestRhythms runs a mender: its loop when woken, and a keeper with a rhythm of its own.
func TestRhythms(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	m := newMender(newProblems(slog.New(slog.DiscardHandler)), func() bool { return true }, func() bool { return true })
	inLoop, apart, due := make(chan time.Duration), make(chan time.Duration), make(chan struct{})
	try := func(to chan time.Duration) func(context.Context) error {
		return func(ctx context.Context) error {
			deadline, _ := ctx.Deadline()
			to <- time.Until(deadline)
			return nil
		}
	}
	m.keepers = []keeper{
		{name: "loop", try: try(inLoop)},
		{name: "apart", limit: peersTimeout, try: try(apart), wait: func(ctx context.Context) {
			select {
			case <-due:
			case <-ctx.Done():
			}
		}},
	}
	ended := make(chan struct{})
	go func() { m.run(ctx); close(ended) }()
	if limit := <-inLoop; limit > stepTimeout {
		t.Errorf("a try in the loop may take %s, want at most %s", limit, stepTimeout)
	}
	if limit := <-apart; limit <= stepTimeout {
		t.Errorf("a try with a limit of its own may take %s, want more than %s", limit, stepTimeout)
	}
	due <- struct{}{}
	<-apart // though the loop was not woken
	m.wake()
	m.wake() // one more while nobody has heard the first does not block
	<-inLoop
	cancel()
	for {
		select {
		case <-inLoop:
		case <-ended:
			return
		}
	}
}

// What comes after another keeper is tried as soon as that one is right, also where its bell rang while the other was
// being tried.
func TestAKeeperApartIsTriedOnceItMayBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		m := newMender(newProblems(slog.New(slog.DiscardHandler)), func() bool { return true }, func() bool { return true })
		rung, began, tries := newBell(), time.Now(), make(chan time.Duration, 10)
		m.keepers = []keeper{
			{name: "first", try: func(context.Context) error {
				if time.Since(began) == 0 {
					rung.ring()
					time.Sleep(time.Second)
				}
				return nil
			}},
			{name: "second", after: names{"first"}, wait: func(ctx context.Context) { rung.wait(ctx, time.Hour) },
				try: func(context.Context) error { tries <- time.Since(began); return nil }},
		}
		ended := make(chan struct{})
		go func() { m.run(ctx); close(ended) }()
		if at := <-tries; at != time.Second {
			t.Errorf("it was tried %s after the start, want 1s", at)
		}
		time.Sleep(time.Minute)
		if len(tries) > 0 {
			t.Errorf("it was tried %d times more, though nothing rang", len(tries))
		}
		cancel()
		<-ended
	})
}

// order is a keeper that writes its steps down.
type order struct {
	steps  []string
	failAt string
}

func (o *order) step(name string) (string, error) {
	o.steps = append(o.steps, name)
	if name == o.failAt {
		return "", errors.New(name)
	}
	return name, nil
}

func (o *order) is(context.Context) (string, error)     { return o.step("is") }
func (o *order) should(context.Context) (string, error) { return o.step("should") }
func (o *order) makeSo(_ context.Context, should, is string) error {
	_, err := o.step("make so: " + should + " from " + is)
	return err
}

// What is comes first, or what another makes meanwhile would be taken for a stray.
func TestStepsInOrder(t *testing.T) {
	all := []string{"is", "should", "make so: should from is"}
	for n, failAt := range append(all, "nothing") {
		k := &order{failAt: failAt}
		err := keep(k)(t.Context())
		if (err == nil) != (failAt == "nothing") || err != nil && err.Error() != failAt {
			t.Errorf("failing at %q: error %v", failAt, err)
		}
		if want := all[:min(n+1, len(all))]; !slices.Equal(k.steps, want) {
			t.Errorf("failing at %q: steps %q, want %q", failAt, k.steps, want)
		}
	}
}

func TestProblemsAreLoggedOnce(t *testing.T) {
	var log strings.Builder
	p := newProblems(slog.New(slog.NewTextHandler(&log, nil)))
	broken, worse := errors.New("broken"), errors.New("worse")
	for _, err := range []error{nil, broken, broken, worse, nil, nil} {
		p.report("bridge", err)
	}
	p.report("ports", broken)
	p.forget("ports")
	if list := p.list(); len(list) > 0 {
		t.Errorf("problems %q, want none", list)
	}
	for text, times := range map[string]int{"err=broken": 2, "err=worse": 1, "recovered": 1} {
		if got := strings.Count(log.String(), text); got != times {
			t.Errorf("the log says %q %d times, want %d:\n%s", text, got, times, log.String())
		}
	}
}
