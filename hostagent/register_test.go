package hostagent

import "testing"

// An agent that loses its registration while an attach is under way registers again, and the attach goes on under that.
func TestAttachGoesOnUnderTheNextRegistration(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	a, c, _ := h.agent()
	at, err := a.prepare(t.Context(), attachTo("alice", "a1", newContainer(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer at.ns.Close()
	lost := at.spec.HostLease
	if err := a.registration.current().Lease.Close(); err != nil {
		t.Fatal(err)
	}
	if err := a.journal.begin(at.intent()); err != nil {
		t.Fatal(err)
	}
	if err := a.createPort(t.Context(), at); err != nil {
		t.Fatal(err)
	}
	if at.spec.HostLease == lost || lost == 0 {
		t.Errorf("the port was made under lease %x, and %x was lost", at.spec.HostLease, lost)
	}
	list, err := c.List(t.Context())
	if err != nil || len(list) != 1 {
		t.Errorf("ports %+v, error %v; want a1", list, err)
	}
}
