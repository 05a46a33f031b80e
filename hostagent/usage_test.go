package hostagent

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/store"
)

// usageOf is what the cluster was told of a tenant, and at which revision.
func (h *host) usageOf(tenant string) (store.Used, store.Revision) {
	h.t.Helper()
	o, rev, err := h.client.Get(h.t.Context(), store.UsageKey("h1"))
	if err != nil {
		h.t.Fatal(err)
	}
	if o == nil {
		return store.Used{}, 0
	}
	return o.(*store.Usage).Of(h.tenant(tenant).Number), rev
}

// quick has an agent look often at what tenants use.
func quick(a *Agent) { a.usage.every = 50 * time.Millisecond }

// TestUsageIsTold has a tenant meet its limits: what it uses and what is refused to it is told, once,
// and another agent goes on from there.
func TestUsageIsTold(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	h.put(store.GatewayKey("alice"), &store.Gateway{Active: "h1"})
	alice := h.tenant("alice")
	alice.Limits = store.Limits{Ports: 1, NewPorts: 1}
	h.put(store.TenantKey("alice"), alice)
	a, c, stop := h.agentWith(quick)
	if _, err := c.Attach(t.Context(), attachTo("alice", "a1", newContainer(t))); err != nil {
		t.Fatal(err)
	}
	if used, rev := h.usageOf("alice"); rev != 0 {
		t.Errorf("nothing is used, and told %+v", used)
	}
	if _, err := c.Attach(t.Context(), attachTo("alice", "a2", newContainer(t))); err == nil || !strings.Contains(err.Error(), "it may have 1 ports") {
		t.Errorf("a second port: %v", err)
	}
	for a.pace.of("alice", alice.Limits).Tokens() > -10 {
		a.pace.of("alice", alice.Limits).Reserve()
	}
	if _, err := c.Attach(t.Context(), attachTo("alice", "a3", newContainer(t))); err == nil || !strings.Contains(err.Error(), "more than 1 ports a second") {
		t.Errorf("a port out of turn: %v", err)
	}
	const connections = 12
	zone := store.NATZone(alice.Number)
	h.eventually("the zone has a limit", func() bool {
		return strings.Contains(h.run("ovs-appctl", "dpctl/ct-get-limits"), fmt.Sprintf("zone=%d,limit=16384", zone))
	})
	for n := range connections {
		h.run("ovs-ofctl", "-O", "OpenFlow13", "packet-out", store.BridgeName, "in_port=LOCAL,packet="+datagram(uint16(5000+n))+
			fmt.Sprintf(",actions=ct(commit,zone=%d)", zone))
	}
	want := store.Used{Connections: connections, PortsRefused: 1, NewPortsRefused: 1}
	var at store.Revision
	told := func() bool {
		used, rev := h.usageOf("alice")
		at = rev
		return used == want
	}
	h.eventually("all is told", told)
	stop()
	a, _, _ = h.agentWith(quick)
	h.eventually("the other agent has looked", func() bool { return a.mender.succeeded("usage") })
	if was := at; !told() || at != was {
		t.Errorf("nothing changed, and another agent wrote at %d what was told at %d", at, was)
	}
}

// succeeded reports whether a try of a keeper has.
func (m *mender) succeeded(keeper string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.once[keeper]
}

// datagram is a UDP packet from a port, in hexadecimal digits.
func datagram(from uint16) string {
	b, _ := hex.DecodeString("020000000002" + "020000000001" + "0800" + "4500001c000040004011" + "0000" + "0a000005" + "c6336401" + "0000" + "1388" + "00080000")
	sum := uint32(0)
	for n := 14; n < 34; n += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[n:]))
	}
	binary.BigEndian.PutUint16(b[24:], ^uint16(sum+sum>>16))
	binary.BigEndian.PutUint16(b[34:], from)
	return hex.EncodeToString(b)
}

// TestLimitsOutliveAnOutage restarts the agent while etcd is away, on a switch that forgot its limits and
// a kernel whose rules are gone. The limits come back as they were, neither raised nor dropped.
func TestLimitsOutliveAnOutage(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	h.put(store.GatewayKey("alice"), &store.Gateway{Active: "h1"})
	alice := h.tenant("alice")
	alice.Limits.Connections = 100
	h.put(store.TenantKey("alice"), alice)
	zone := fmt.Sprintf("zone=%d,", store.NATZone(alice.Number))
	limits := func() string {
		list, _ := exec.Command("nft", "--terse", "list", "table", "inet", limitsTable).Output()
		for line := range strings.Lines(h.run("ovs-appctl", "dpctl/ct-get-limits")) {
			if strings.HasPrefix(line, zone) {
				return line + string(list)
			}
		}
		return string(list)
	}
	limited := func() bool {
		return strings.Contains(limits(), zone+"limit=100,") && strings.Contains(limits(), "ct count over 100 } goto")
	}
	_, _, stop := h.agent()
	h.eventually("alice has her limits", limited)
	before := limits()
	stop()
	h.run("nft", "delete table inet "+limitsTable)
	h.run("ovs-appctl", "dpctl/ct-del-limits", strings.TrimSuffix(zone, ","))
	a, _, _ := h.startWith(func(*Agent) { h.server.Close() })
	h.eventually("alice has her limits without etcd", limited)
	if diff := cmp.Diff(before, limits()); diff != "" {
		t.Errorf("limits after the restart: -before +after\n%s", diff)
	}
	if a.registration.registered() {
		t.Error("the agent registered without etcd")
	}
}

// What tenants may take is known to the next agent, also that none leaves here; one that was never told
// knows nothing.
func TestTenantsAreRemembered(t *testing.T) {
	dir := t.TempDir()
	open := func() *tenants {
		t.Helper()
		known := &tenants{file: filepath.Join(dir, "tenants.json"), changed: newBell()}
		if err := known.load(); err != nil {
			t.Fatal(err)
		}
		return known
	}
	if known := open(); known.told() {
		t.Errorf("nothing was ever told, and known %v", known.known())
	}
	for _, told := range []leavers{{}, {7: limited(100), 9: {}}, {9: {store.Limits{Ports: 3}, 70000}}, {}} {
		known := open()
		if err := known.makeSo(t.Context(), told, known.known()); err != nil {
			t.Fatal(err)
		}
		select {
		case <-known.changed:
		default:
			t.Errorf("told %v: it wakes nobody", told)
		}
		if diff := cmp.Diff(told, open().known()); diff != "" || !open().told() {
			t.Errorf("known to the next agent: -want +got\n%s", diff)
		}
		if err := known.makeSo(t.Context(), told, known.known()); err != nil || len(known.changed) > 0 {
			t.Errorf("told %v again: it wakes, or fails with %v", told, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "tenants.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if open().told() {
		t.Error("what cannot be decoded is believed")
	}
}
