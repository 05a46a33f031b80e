package hostagent

import (
	"slices"
	"testing"

	"sluice/store"
)

// TestAliveFollowsAgents lets an agent come and go: an attach waits for its host only meanwhile.
func TestAliveFollowsAgents(t *testing.T) {
	h := newHost(t)
	a, _, _ := h.agent()
	_, at, err := h.client.List(t.Context(), store.KindLiveHost)
	if err != nil {
		t.Fatal(err)
	}
	changed := h.client.LiveChanged(t.Context(), at)
	select {
	case <-changed:
		t.Error("a change is told before there is one")
	default:
	}
	other, err := h.client.RegisterHost(t.Context(), "h2", store.Host{Incarnation: "h2", Encap: "geneve"})
	if err != nil {
		t.Fatal(err)
	}
	<-changed
	h.eventually("h2 is alive", func() bool { return slices.Equal(a.alive.all(), []string{"h1", "h2"}) })
	if got := a.alive.among([]string{"h0", "h2", "h3"}); !slices.Equal(got, []string{"h2"}) {
		t.Errorf("alive among h0, h2 and h3 are %v", got)
	}
	_, at, err = h.client.List(t.Context(), store.KindLiveHost)
	if err != nil {
		t.Fatal(err)
	}
	changed = h.client.LiveChanged(t.Context(), at)
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	<-changed
	h.eventually("h2 is alive no longer", func() bool { return slices.Equal(a.alive.all(), []string{"h1"}) })
}
