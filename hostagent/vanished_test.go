package hostagent

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/hostagent/api"
)

// vanish ends a container, and with it its namespace and the port's interface.
func (h *host) vanish(box *container, iface string) {
	h.t.Helper()
	kill(box.cmd)
	h.eventually("the interface is gone", func() bool {
		links, err := portLinks()
		return err == nil && !links[iface]
	})
}

// A container that comes back under its name, as after its machine started anew, takes the place of the one that
// vanished; one that lives keeps its name.
func TestContainerComesBack(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	a, c, _ := h.agent()
	box, next := newContainer(t), newContainer(t)
	first, err := c.Attach(t.Context(), attachTo("alice", "a1", box))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Attach(t.Context(), attachTo("alice", "a1", next)); !api.IsConflict(err) {
		t.Fatalf("beside the living one: %v", err)
	}
	whole := h.traces()
	h.vanish(box, first.Interface)
	a.mender.round(t.Context())
	if p := h.port("a1"); p.Interface != first.Interface {
		t.Fatalf("within its time the port is %+v", p)
	}
	second, err := c.Attach(t.Context(), attachTo("alice", "a1", next))
	if err != nil {
		t.Fatal(err)
	}
	if second.Interface == first.Interface || len(h.traces()) != len(whole) || len(a.records.known()) != 1 {
		t.Errorf("it has %+v, and the host %v", second, h.traces())
	}
}

// The port of a container that vanished goes after the quarantine, and no other.
func TestPortsOfVanishedContainersGo(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	h.options.Quarantine = time.Second
	a, c, _ := h.agent()
	h.attach(c, "alice", "kept")
	before := h.traces()
	box := newContainer(t)
	port, err := c.Attach(t.Context(), attachTo("alice", "a1", box))
	if err != nil {
		t.Fatal(err)
	}
	h.stamp()
	h.judged(a)
	h.vanish(box, port.Interface)
	a.mender.round(t.Context())
	if len(h.traces()) == len(before) {
		t.Error("it went at once")
	}
	h.eventually("it goes", func() bool {
		a.mender.round(t.Context())
		return cmp.Equal(before, h.traces())
	})
	if len(a.records.known()) != 1 {
		t.Errorf("records: %v", a.records.known())
	}
}

// A detach that names its container does not remove the port of the one that has the name by now.
func TestLateDetach(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	_, c, _ := h.agent()
	request := attachTo("alice", "a1", newContainer(t))
	request.ContainerID = "second"
	if _, err := c.Attach(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	whole := h.traces()
	late := api.DetachRequest{Tenant: "alice", Name: "a1", ContainerID: "first"}
	if err := c.Detach(t.Context(), late); !api.IsNotFound(err) || !strings.Contains(err.Error(), "second") {
		t.Errorf("a late detach: %v", err)
	}
	if diff := cmp.Diff(whole, h.traces()); diff != "" {
		t.Errorf("-before +after\n%s", diff)
	}
	late.ContainerID = "second"
	if err := c.Detach(t.Context(), late); err != nil {
		t.Error(err)
	}
}

// A detach of a port as it was read does not remove the one that the same container has by now.
func TestDetachOfThatVeryPort(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	_, c, _ := h.agent()
	first := h.attach(c, "alice", "a1").Detachment()
	if err := c.Detach(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	second := h.attach(c, "alice", "a1")
	whole := h.traces()
	if err := c.Detach(t.Context(), first); !api.IsNotFound(err) || !strings.Contains(err.Error(), "made anew since, as "+second.Interface) {
		t.Errorf("a late detach: %v", err)
	}
	if diff := cmp.Diff(whole, h.traces()); diff != "" {
		t.Errorf("-before +after\n%s", diff)
	}
	if err := c.Detach(t.Context(), second.Detachment()); err != nil {
		t.Error(err)
	}
}

// A detach that etcd did not take is finished by the mend loop.
func TestDetachIsFinished(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	a, c, _ := h.agentWith(func(a *Agent) { a.mender.interval = time.Hour }) // the rounds are the test's
	before := h.traces()
	port := h.attach(c, "alice", "a1")
	release := a.journal.hold(h.port("a1").UID)
	if err := a.records.leaving(port.Interface); err != nil { // as far as it came
		t.Fatal(err)
	}
	a.mender.round(t.Context())
	if len(h.traces()) != len(before)+3 {
		t.Error("it went while a detach works on it")
	}
	release()
	a.mender.round(t.Context())
	h.eventually("the detach is finished", func() bool { return cmp.Equal(before, h.traces()) }) // the agent may be at it too
}
