package hostagent

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/hostagent/api"
)

// A container may end at any step of its attach. Its runtime is told that it failed, and nothing is left; or that it succeeded,
// and the stop that follows removes all.
func TestContainerEndsAmidAttach(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	var ends atomic.Pointer[func(step)]
	h.options.Step = func(at string) {
		if end := ends.Load(); end != nil {
			(*end)(step(at))
		}
	}
	_, c, _ := h.agent()
	empty := h.traces()
	for _, at := range []step{stepIntent, stepPort, stepVeth, stepPlugged, stepFurnished, stepRealized, stepOthers} {
		box := newContainer(t)
		var reached atomic.Bool
		end := func(s step) {
			if s == at && reached.CompareAndSwap(false, true) {
				kill(box.cmd)
			}
		}
		ends.Store(&end)
		_, err := c.Attach(t.Context(), attachTo("alice", "brief", box))
		ends.Store(nil)
		t.Logf("it ended after step %q: %v", at, err)
		if !reached.Load() {
			t.Errorf("step %q was not reached", at)
		}
		if err == nil {
			err = c.Detach(t.Context(), api.DetachRequest{Tenant: "alice", Name: "brief"})
			if err != nil {
				t.Errorf("detach: %v", err)
			}
		}
		if diff := cmp.Diff(empty, h.traces()); diff != "" {
			t.Errorf("it ended after step %q; left: -want +got\n%s", at, diff)
		}
	}
}

// Two hundred attaches come at once, and half of them are given up by who asked. The others have an address each; of those that
// failed nothing is left.
func TestAgentCrowd(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	var whole atomic.Int64
	h.options.Step = func(at string) {
		if step(at) == stepAttached {
			whole.Add(1)
		}
	}
	_, c, _ := h.agent()
	empty := h.traces()
	const crowd = 200
	attached, cut := make(chan api.Attachment, crowd), make(chan string, crowd)
	var g sync.WaitGroup
	for i := range crowd {
		box := newContainer(t)
		ctx, cancel := context.WithCancel(t.Context())
		if i%2 == 1 {
			time.AfterFunc(time.Duration(i)*5*time.Millisecond, cancel)
		}
		g.Go(func() {
			defer cancel()
			a, err := c.Attach(ctx, attachTo("alice", fmt.Sprint("crowd-", i), box))
			switch {
			case err == nil:
				attached <- a
			case i%2 == 0:
				t.Errorf("attach %d: %v", i, err)
			default:
				cut <- fmt.Sprint("crowd-", i)
			}
		})
	}
	g.Wait()
	close(attached)
	close(cut)
	taken := map[string]string{}
	for a := range attached {
		if other := taken[a.Addresses[0]]; other != "" {
			t.Errorf("%s and %s have address %s", other, a.Name, a.Addresses[0])
		}
		taken[a.Addresses[0]] = a.Name
		if err := c.Detach(t.Context(), a.Detachment()); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d of %d were attached", len(taken), crowd)
	unheard := func() int { return int(whole.Load()) - len(taken) } // attached when their clients went away, which their runtimes detach
	h.eventually("nothing is left of those that failed", func() bool { return len(h.traces()) == len(empty)+tracesOfPort*unheard() })
	detached := 0
	for name := range cut {
		if c.Detach(t.Context(), api.DetachRequest{Tenant: "alice", Name: name}) == nil {
			detached++
		}
	}
	if detached != unheard() {
		t.Errorf("%d were attached whose clients went away, and %d could be detached", unheard(), detached)
	}
	h.eventually("nothing is left", func() bool { return cmp.Equal(empty, h.traces()) })
}
