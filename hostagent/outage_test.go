package hostagent

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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
	before := h.picture()
	h.server.Close()
	if a.mender.round(t.Context()) {
		t.Error("mending succeeded without etcd")
	}
	if diff := cmp.Diff(before, h.picture()); diff != "" {
		t.Errorf("without etcd the host changed: -before +after\n%s", diff)
	}
	if _, err := c.Attach(t.Context(), attachTo("alice", "a2", newContainer(t))); err == nil || !strings.Contains(err.Error(), "etcd") {
		t.Errorf("attach without etcd: %v; want a reason that names etcd", err)
	}
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
