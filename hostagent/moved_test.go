package hostagent

import (
	"testing"

	"sluice/hostagent/api"
	"sluice/store"
)

// move takes one of alice's ports to another host, as the API does.
func (h *host) move(name, from, to string) {
	h.t.Helper()
	m := store.PortMove{Key: store.PortKey(from, "alice", store.DefaultNetwork, name), Host: to}
	if _, err := h.client.Decide(h.t.Context(), m.Propose, m.Needs()...); err != nil {
		h.t.Fatal(err)
	}
}

// A port that moved away leaves its interface, which the agent removes at its next look without touching the
// port; one that moves here is attached as it is, also at a second try.
func TestPortMoves(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	a, c, _ := h.agent()
	before := len(h.traces())
	h.register("h2", "198.51.100.2")
	made := h.attach(c, "alice", "a1")
	port := *h.port("a1")
	h.move("a1", "h1", "h2")
	a.mender.round(t.Context())
	if links, err := portLinks(); err != nil || len(links) > 0 || len(a.records.known()) > 0 {
		t.Errorf("left here: %v, %v (%v)", links, a.records.known(), err)
	}
	if got := h.traces(); len(got) != before+1 { // its key, of h2
		t.Errorf("traces: %v", got)
	}

	h.move("a1", "h2", "h1")
	wrong := attachTo("alice", "a1", newContainer(t))
	wrong.Address = "10.0.0.250"
	if _, err := c.Attach(t.Context(), wrong); !api.IsConflict(err) {
		t.Errorf("with an address of its own: %v", err)
	}
	wrong.Address, wrong.IfName = "", "lo"
	if _, err := c.Attach(t.Context(), wrong); !api.IsConflict(err) { // it has a lo: this fails once all is under way
		t.Errorf("as an interface that is there: %v", err)
	}
	if again := h.port("a1"); again.UID != port.UID {
		t.Fatalf("a failed attach left %+v", again)
	}
	back := h.attach(c, "alice", "a1")
	if now := *h.port("a1"); now.UID != port.UID || now.Number != port.Number || now.MAC != port.MAC || now.Addresses[0] != port.Addresses[0] {
		t.Errorf("it came back as %+v, was %+v", now, port)
	}
	if back.Interface != made.Interface || back.MAC != made.MAC {
		t.Errorf("attached %+v, was %+v", back, made)
	}
	a.mender.round(t.Context())
	if len(a.records.known()) != 1 || len(h.traces()) != before+3 {
		t.Errorf("in the end: %v, %v", a.records.known(), h.traces())
	}
}
