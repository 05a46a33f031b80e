package hostagent

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/store"
)

// An agent that is older than the store asks for writes nothing, asks for no word, and changes nothing on its
// host; what is attached goes on. Once it may write it goes on by itself.
func TestOlderAgentHolds(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	h.stamp()
	a, c, stop := h.agent()
	h.attach(c, "alice", "a1")
	live, _, err := h.client.Get(t.Context(), store.LiveHostKey("h1"))
	if err != nil || live.(*store.LiveHost).Schema != store.SchemaVersion {
		t.Fatalf("the agent says %+v, %v", live, err)
	}
	before := h.settled()

	h.put(store.SchemaKey(), &store.Schema{Least: store.SchemaVersion + 1})
	for _, when := range []string{"under the agent", "at its start"} {
		if when == "at its start" {
			stop()
			a, c, stop = h.start()
		} else {
			h.judged(a)
		}
		if said := h.holds(a); !strings.Contains(said, "too old") || !strings.Contains(said, "newer version") || strings.Contains(said, "adopt") {
			t.Errorf("%s it says %q", when, said)
		}
		if _, err := c.Attach(t.Context(), attachTo("alice", "a2", newContainer(t))); err == nil || !strings.Contains(err.Error(), "too old") {
			t.Errorf("%s it attaches: %v", when, err)
		}
		a.mender.round(t.Context())
		if asked := h.asked(); asked != nil {
			t.Errorf("%s it wrote a request: %+v", when, asked)
		}
		if diff := cmp.Diff(before, h.picture()); diff != "" {
			t.Errorf("%s the host changed: -before +after\n%s", when, diff)
		}
	}

	h.put(store.SchemaKey(), &store.Schema{Least: store.SchemaVersion})
	h.eventually("it goes on", func() bool { return a.serving.held() == "" && a.registration.ready() != nil })
	h.attach(c, "alice", "a2")
}
