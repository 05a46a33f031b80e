package hostagent

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/hostagent/api"
	"sluice/store"
)

// What an agent was doing when it was killed.
const (
	attaching = "attaching"
	detaching = "detaching"
	undoing   = "undoing" // an attach whose client went away
)

// killedCases are all steps, what is under way there, and whether the port is whole once the next
// agent has mended what it found.
var killedCases = []struct {
	at    step
	doing string
	whole bool
}{
	{stepIntent, attaching, false},
	{stepPort, attaching, false},
	{stepVeth, attaching, false},
	{stepPlugged, attaching, false},
	{stepFurnished, attaching, false},
	{stepRecord, attaching, false},
	{stepRealized, attaching, false},
	{stepOthers, attaching, false},
	{stepUndoKey, undoing, false},
	{stepRowGone, undoing, false},
	{stepLinkGone, undoing, false},
	{stepRecordGone, undoing, false},
	{stepUndone, undoing, false},
	{stepAttached, attaching, true}, // the client is not told, but the port is as it was asked for
	{stepLeaving, detaching, false},
	{stepPortGone, detaching, false},
	{stepRowGone, detaching, false},
	{stepLinkGone, detaching, false},
	{stepRecordGone, detaching, false},
}

// TestKilledAtEveryStep kills the agent at every step of attaches, detaches and undoings; the next one
// finishes or undoes what it finds, by itself.
func TestKilledAtEveryStep(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	c, box := h.dial(), newContainer(t)
	port := attachTo("alice", "a1", box)
	ready := func() {
		t.Helper()
		h.eventually("the agent is ready", func() bool {
			s, err := c.Status(t.Context())
			return err == nil && s.Registered && len(s.Problems) == 0
		})
	}
	agent, _ := h.process()
	ready()
	h.eventually("a port that stays", func() bool {
		_, err := c.Attach(t.Context(), attachTo("alice", "kept", newContainer(t)))
		return err == nil
	})
	kill(agent)
	base := h.traces()
	for _, tc := range killedCases {
		h.prepareKill(c, port, tc.doing)
		agent, stderr := h.processUntil(tc.at)
		ready()
		h.provoke(c, port, tc.doing, agent)
		left := h.traces()

		next, _ := h.process()
		ready()
		mended := func() bool {
			all := h.traces()
			if tc.whole {
				return len(all) == len(base)+tracesOfPort
			}
			records, err := os.ReadDir(h.path("state/ports"))
			return err == nil && len(records) == 1 && cmp.Equal(base, all)
		}
		t.Logf("killed while %s after %s, it left %v\n%s", tc.doing, tc.at, left, stderr)
		h.eventually("it is mended", mended)
		if tc.whole {
			h.detachAll(c, port)
		}
		kill(next)
	}
}

// prepareKill makes the port that a detach is to remove.
func (h *host) prepareKill(c *api.Client, port api.AttachRequest, doing string) {
	h.t.Helper()
	if doing != detaching {
		return
	}
	agent, _ := h.process()
	h.eventually("attached", func() bool { _, err := c.Attach(h.t.Context(), port); return err == nil })
	kill(agent)
}

// provoke has the agent work until it is killed.
func (h *host) provoke(c *api.Client, port api.AttachRequest, doing string, agent *exec.Cmd) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	if doing == undoing { // before the attach, which else might be whole before it is to wait
		h.put(store.StatusHostKey("h1"), &store.StatusHost{State: store.HostMissing, Realized: 1})
		defer h.deleteKey(store.StatusHostKey("h1"))
	}
	ended := make(chan error, 1)
	go func() {
		if doing == detaching {
			ended <- c.Detach(ctx, api.DetachRequest{Tenant: port.Tenant, Name: port.Name})
			return
		}
		_, err := c.Attach(ctx, port)
		ended <- err
	}()
	if doing == undoing {
		h.eventually("it waits for its flows, beside the port that stays", func() bool {
			records, err := os.ReadDir(h.path("state/ports"))
			return err == nil && len(records) == 2
		})
		cancel()
	}
	died := make(chan error, 1)
	go func() { died <- agent.Wait() }()
	select {
	case <-died:
	case <-time.After(patience):
		h.t.Fatalf("it was not killed while %s", doing)
	}
	if err := <-ended; err == nil {
		h.t.Errorf("%s succeeded though the agent was killed", doing)
	}
}

// detachAll detaches a port whose client was not told.
func (h *host) detachAll(c *api.Client, port api.AttachRequest) {
	h.t.Helper()
	if err := c.Detach(h.t.Context(), api.DetachRequest{Tenant: port.Tenant, Name: port.Name}); err != nil {
		h.t.Error(err)
	}
}

// Each step that there is has a case.
func TestEveryStepIsKilledAt(t *testing.T) {
	b, err := os.ReadFile("steps.go")
	if err != nil {
		t.Fatal(err)
	}
	var all, tried []string
	for _, found := range regexp.MustCompile(`step = "([^"]+)"`).FindAllStringSubmatch(string(b), -1) {
		all = append(all, found[1])
	}
	for _, tc := range killedCases {
		tried = append(tried, string(tc.at))
	}
	slices.Sort(all)
	slices.Sort(tried)
	if diff := cmp.Diff(all, slices.Compact(tried)); diff != "" || len(all) == 0 {
		t.Errorf("steps that there are (-) and that are tried (+):\n%s", diff)
	}
}
