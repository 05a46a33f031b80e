package integration

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"sluice/integration/lab"
	"sluice/store"
)

// happens waits until a watch of events has told of one.
func (s *spoken) happens(t *testing.T, want string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !s.has(want); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no event is %q, of\n%s", want, s)
		}
	}
}

// Operators see trouble, and its end: a flow of somebody else's that is there long enough to be proved wrong, a switch that
// stands still, a gateway host that dies, and a tenant that meets its limits.
func TestEventsTellOfTrouble(t *testing.T) {
	st := needLab(t)
	g, others := failingOver(t, "troubled")
	last := others[len(others)-1] // neither the gateway host's nor its backup's
	host := st.Hosts[slices.IndexFunc(st.Hosts, func(h lab.Host) bool { return h.Name == last.Host })]
	watching := speaking(t, "events", "--watch", "--since", time.Now().UTC().Format(time.RFC3339))
	refusedTraffic := floods(t, "noisy", others[0].Host) // nothing happens to that host

	writeUntil(t, host, watching, "proof-violated*       host "+host.Name+": a flow of its switch breaks a rule of the proof",
		fmt.Sprintf("cookie=%s,priority=60000,table=100,reg2=%s actions=LOCAL", sideOf(t, last).cookie, sideOf(t, last).register))
	watching.happens(t, "drift-mended*         host "+host.Name+": flows that others changed were put right: ")
	watching.happens(t, "proof-whole           host "+host.Name+": its flows are proved to keep tenants apart")

	sluice(t, "lab", "kill", "switch/"+host.Name)
	watching.happens(t, "host-down*            host "+host.Name+": ")
	sluice(t, "lab", "up")
	watching.happens(t, "host-back             host "+host.Name+": its switch holds what it should")

	sluice(t, "lab", "kill", g.Active)
	watching.happens(t, "gateway-failed-over*  tenant troubled: from "+g.Active+" to "+g.Backup)
	watching.happens(t, "agent-away*           host "+g.Active+": ")
	sluice(t, "lab", "up")
	watching.happens(t, "agent-back            host "+g.Active+": ")
	watching.happens(t, "host-back             host "+g.Active+": ")
	watching.happens(t, refusedTraffic)
	wantNoDiff(t)
}

// floods has a tenant send more broadcasts than it may, and is the event that tells of it: there is one a minute at most.
func floods(t *testing.T, name, host string) (event string) {
	t.Helper()
	tenant(t, name, "--limit-broadcasts", "10")
	c := container(t, host, name, name+"-1")
	w := tap(t, c)
	for range 1000 {
		w.send(t, ethernet(broadcast, hw(c.MAC), 0x0800, udp4(ipOf(c), netip.MustParseAddr("255.255.255.255"), 9, 9, nil)))
	}
	return "traffic-refused*      tenant " + name + ": broadcasts are dropped: the tenant sends more a second than it may: "
}

// writeUntil writes a flow to a switch by hand, again and again as audits mend it, until an event is told.
func writeUntil(t *testing.T, host lab.Host, watching *spoken, want, flow string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !watching.has(want); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no event is %q, of\n%s", want, watching)
		}
		if _, err := host.Switch().OFCtl(t.Context(), "add-flow", store.BridgeName, flow); err != nil {
			t.Fatal(err)
		}
	}
}
