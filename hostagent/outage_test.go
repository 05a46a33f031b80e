package hostagent

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"sluice/hostagent/api"
)

// TestStoreAway takes etcd away and brings it back: nothing on the host moves meanwhile,
// attaches are refused with the reason, and afterwards they work without help.
func TestStoreAway(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	a, c, _ := h.agent()
	if _, err := c.Attach(t.Context(), attachTo("alice", "a1", newContainer(t))); err != nil {
		t.Fatal(err)
	}
	before := h.settled()
	h.server.Close()
	var reads errgroup.Group // beside all the rest: each gives up after seconds only
	for what, read := range map[string]func() error{
		"the agent's list":    func() error { _, err := c.List(t.Context()); return err },
		"the agent's port":    func() error { _, err := a.Get(t.Context(), api.DetachRequest{Tenant: "alice", Name: "a1"}); return err },
		"ports":               func() error { _, err := a.ports.should(t.Context()); return err },
		"tunnel peers":        func() error { _, err := a.peers.should(t.Context()); return err },
		"the hosts that live": func() error { _, err := a.alive.look(t.Context()); return err },
		"the hosts concerned": func() error { _, err := a.concerned(t.Context(), "alice"); return err },
		"an attach's own port": func() error {
			return a.ports.deleteOwn(t.Context(), intent{Tenant: "alice", Network: "default", Name: "a1"}, 1)
		},
	} {
		reads.Go(func() error {
			if err := read(); err == nil || !strings.Contains(err.Error(), "etcd") {
				t.Errorf("without etcd %s: error %v; want one that names etcd", what, err)
			}
			return nil
		})
	}
	if a.mender.round(t.Context()) {
		t.Error("mending succeeded without etcd")
	}
	if diff := cmp.Diff(before, h.picture()); diff != "" {
		t.Errorf("without etcd the host changed: -before +after\n%s", diff)
	}
	if _, err := c.Attach(t.Context(), attachTo("alice", "a2", newContainer(t))); err == nil || !strings.Contains(err.Error(), "etcd") {
		t.Errorf("attach without etcd: %v; want a reason that names etcd", err)
	}
	reads.Wait()
	if problems := strings.Join(a.Status().Problems, "\n"); !strings.Contains(problems, "etcd") {
		t.Errorf("status does not name etcd: %s", problems)
	}
	h.serveStore(t.Context())
	h.eventually("attaching works again", func() bool {
		_, err := c.Attach(t.Context(), attachTo("alice", "a2", newContainer(t)))
		return err == nil
	})
	list, err := c.List(t.Context())
	if err != nil || len(list) != 2 {
		t.Errorf("ports %+v, error %v; want a1 and a2", list, err)
	}
}

// The interfaces of containers are kept right also while the registration is lost.
func TestInterfacesAreKeptWithoutRegistration(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	a, c, _ := h.agent()
	port := h.attach(c, "alice", "a1")
	before := h.settled()
	h.server.Close()
	a.registration.set(nil) // as when the lease ran out
	h.run("ip", "link", "set", port.Interface, "down")
	h.run("ip", "link", "set", port.Interface, "arp", "on")
	a.mender.round(t.Context())
	if diff := cmp.Diff(before, h.picture()); diff != "" {
		t.Errorf("it is not as before: -want +got\n%s", diff)
	}
}

// An attach that comes before the host is ready, as after an outage, has it made ready and goes on.
func TestAttachAwaitsReadiness(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	a, c, _ := h.agent()
	a.registration.noteClean(nil)
	if _, err := c.Attach(t.Context(), attachTo("alice", "a1", newContainer(t))); err != nil {
		t.Error(err)
	}
}

func attachTo(tenant, name string, box *container) api.AttachRequest {
	return api.AttachRequest{Tenant: tenant, Name: name, NetNS: box.netns()}
}

// TestStartWithoutStore starts the agent of a host with a container while there is no etcd: the agent
// serves, says so, and leaves the container as it is; when etcd comes it goes on by itself.
func TestStartWithoutStore(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	_, c, stop := h.agent()
	h.attach(c, "alice", "a1")
	before := h.settled()
	stop()
	h.server.Close()
	a, c, _ := h.start()
	h.eventually("status names etcd", func() bool {
		s, err := c.Status(t.Context())
		return err == nil && !s.Registered && strings.Contains(strings.Join(s.Problems, "\n"), "etcd")
	})
	if _, err := c.Attach(t.Context(), attachTo("alice", "a2", newContainer(t))); err == nil || !strings.Contains(err.Error(), "etcd") {
		t.Errorf("attach without etcd: %v; want a reason that names etcd", err)
	}
	a.mender.round(t.Context())
	if diff := cmp.Diff(before, h.settled()); diff != "" {
		t.Errorf("the start without etcd changed the host: -before +after\n%s", diff)
	}
	h.serveStore(t.Context())
	h.eventually("attaching works", func() bool {
		_, err := c.Attach(t.Context(), attachTo("alice", "a2", newContainer(t)))
		return err == nil
	})
}
