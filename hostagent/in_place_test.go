package hostagent

import (
	"net/netip"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sluice/store"
)

// closing is all that keeps tenants and strangers out of this host and others, as the kernel has it.
func (h *host) closing() string {
	h.t.Helper()
	return h.run("nft", "list", "table", "inet", tableName) +
		h.run("ip", "-br", "-4", "addr", "show", store.GatewayInterface) + h.run("ip", "route", "show", "dev", store.GatewayInterface)
}

// An agent whose state directory is lost, and that is shown a store that it does not believe, knows
// of no other host: what was closed stays closed, also where its table is lost meanwhile.
func TestAgentThatKnowsNothingOpensNothing(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	h.put(store.SettingsKey(), &store.Settings{Transit: netip.MustParsePrefix("198.18.0.0/15")})
	h.register("h2", "172.30.0.2")
	h.register("h3", "198.51.100.3")
	h.stamp()
	a, c, stop := h.agent()
	h.attach(c, "alice", "a1")
	h.eventually("it knows of the others", func() bool { return len(a.infrastructure.known().Peers) == 2 })
	h.settled()
	before := h.closing()
	stop()
	h.run("rm", "-r", h.path("state"))
	h.swap("empty")
	h.found("a-stranger")
	a, _, stop = h.start()
	h.holds(a)
	h.wroteTable()
	a.mender.round(t.Context())
	if diff := cmp.Diff(before, h.closing()); diff != "" {
		t.Errorf("with an empty state directory: -before +after\n%s", diff)
	}
	h.run("rm", h.path("state/nftables.json"))
	h.run("nft", "delete", "table", "inet", tableName)
	h.wroteTable()
	if diff := cmp.Diff(before, h.closing()); diff != "" {
		t.Errorf("after its table was deleted: -before +after\n%s", diff)
	}
	stop()
	h.options.Adopt = true
	a, _, _ = h.agent()
	h.eventually("it is told of the cluster", func() bool { _, err := os.Stat(a.infrastructure.memory()); return err == nil })
	if diff := cmp.Diff(addrs("172.30.0.2", "198.51.100.3"), a.infrastructure.known().Peers, compareAddrs); diff != "" {
		t.Errorf("hosts that the adopted store lacks are forgotten at once: -want +got\n%s", diff)
	}
}

// wroteTable waits until an agent that remembered no table has written one.
func (h *host) wroteTable() {
	h.t.Helper()
	h.eventually("the table is written", func() bool { _, err := os.Stat(h.path("state/nftables.json")); return err == nil })
}

// On a host without a table and a gateway port there is nothing to begin with.
func TestNothingInPlace(t *testing.T) {
	h := newHost(t)
	got, err := membersInPlace(t.Context())
	if diff := cmp.Diff(members{}, got, compareAddrs, cmpopts.EquateEmpty()); diff != "" || err != nil {
		t.Errorf("error %v, -want +got\n%s", err, diff)
	}
	h.run("nft", "add", "table", "inet", tableName)
	if got, err = membersInPlace(t.Context()); got.Told || err != nil {
		t.Errorf("of an empty table: %+v, %v", got, err)
	}
}
