package events

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/controller/cluster"
	"sluice/controller/host"
	"sluice/store"
)

// place is a Lookout of hosts that the test makes up, with a Log that writes nowhere.
type place struct {
	*Lookout
	leads   bool
	hosts   []host.Status
	refused map[Refusal]uint64
	dropped map[Drop]uint64
	now     time.Time
}

func newPlace() *place {
	p := &place{leads: true, now: time.Unix(1e9, 0), refused: map[Refusal]uint64{}, dropped: map[Drop]uint64{}}
	log := newLog("c1", nil)
	log.Leads = func() bool { return p.leads }
	p.Lookout = NewLookout(LookoutOptions{Log: log, Hosts: func() []host.Status { return p.hosts }, Refused: func() (map[Refusal]uint64, bool) {
		sums := map[Refusal]uint64{}
		for r, n := range p.refused {
			sums[r] = n
		}
		return sums, p.leads
	}, Dropped: func() (map[Drop]uint64, bool) { return maps.Clone(p.dropped), p.leads }})
	return p
}

// told is what is noted, as text. It is written, as far as the Lookout can tell, where written says so.
func (p *place) told(t *testing.T, written bool, want ...string) {
	t.Helper()
	var got []string
	for i, h := range p.Log.takeWaiting() {
		got = append(got, strings.TrimSuffix(fmt.Sprintf("%d %s %s; %s", h.Count, h.What, h.Object, h.Detail), "; "))
		if written {
			h.Last = p.now.Add(time.Duration(i))
			_ = p.Log.take(store.Batch{Revision: 9, Events: []store.Event{{Key: store.HappeningKey(h.Name()), Object: &h, Modified: 9}}})
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("noted (-want +got):\n%s", diff)
	}
}

// after looks once a second for so long.
func (p *place) after(d time.Duration) {
	for range d / time.Second {
		p.look(p.now)
		p.now = p.now.Add(time.Second)
	}
}

func well(name string) host.Status {
	return host.Status{Name: name, State: store.HostRealized, Master: "c1", Live: true, Proof: &host.Proof{Isolation: host.IsolationProved}}
}

// A host that is behind for longer than a moment is told once, and that it is back; what lasts a moment is not.
func TestLookoutAtHosts(t *testing.T) {
	p := newPlace()
	p.hosts = []host.Status{well("h1"), well("h2")}
	p.after(20 * time.Second)
	p.told(t, true)
	p.hosts[0].State = store.HostBehind
	p.after(3 * time.Second)
	p.hosts[0].State = store.HostRealized
	p.after(20 * time.Second)
	p.told(t, true)
	p.hosts[0].State, p.hosts[0].Missing = store.HostMissing, []string{"ports/h1/alice/default/a1"}
	p.after(20 * time.Second)
	p.told(t, true, "1 host-missing host h1; 1 ports, first ports/h1/alice/default/a1")
	p.hosts[0].State = store.HostDown
	p.after(20 * time.Second)
	p.told(t, false, "1 host-down host h1; 1 ports, first ports/h1/alice/default/a1")
	p.after(20 * time.Second)
	p.told(t, false) // etcd is away: it was said all the same
	p.hosts[0] = well("h1")
	p.after(20 * time.Second)
	p.told(t, true, "1 host-back host h1")
}

// Who looks after a host goes on where another controller was: what that one told is not told again, and its end is.
func TestLookoutTakesOver(t *testing.T) {
	p := newPlace()
	p.leads = false
	p.hosts = []host.Status{well("h1"), well("h2")}
	p.hosts[0].Master, p.hosts[0].State, p.hosts[0].Live = "c2", store.HostDown, false
	p.after(20 * time.Second)
	p.told(t, true) // c2 looks after it, and another controller leads
	down, away := ofHost("h1", store.HostIsDown, "", ""), ofHost("h1", store.AgentAway, "", "")
	p.Log.Note(down)
	p.Log.Note(away)
	p.told(t, true, "1 host-down host h1", "1 agent-away host h1")
	p.hosts[0].Master, p.leads = "", true // nobody looks after it, and this one leads
	p.after(20 * time.Second)
	p.told(t, true)
	p.hosts[0] = well("h1")
	p.after(20 * time.Second)
	p.told(t, true, "1 host-back host h1", "1 agent-back host h1")
}

// Proof, drift and the agent are told at once.
func TestLookoutTellsAtOnce(t *testing.T) {
	p := newPlace()
	p.hosts = []host.Status{well("h1")}
	p.look(p.now)
	p.hosts[0].Drift = &host.Drift{Missing: 2, Extra: 1}
	p.hosts[0].Live = false
	p.hosts[0].Proof = &host.Proof{Isolation: host.IsolationUnproved, Findings: 2, First: "flow x"}
	p.look(p.now)
	p.told(t, true, "1 drift-mended host h1; 2 missing, 1 extra, 0 changed", "1 agent-away host h1", "1 proof-violated host h1; 2 flows, first flow x")
	p.hosts[0].Drift = &host.Drift{Missing: 2, Extra: 1, Changed: 5}
	p.hosts[0].Proof = &host.Proof{Isolation: host.IsolationUnknown}
	p.look(p.now)
	p.told(t, true, "1 drift-mended host h1; 0 missing, 0 extra, 5 changed")
	p.hosts[0].Proof, p.hosts[0].Live = &host.Proof{Isolation: host.IsolationProved}, true
	p.look(p.now)
	p.told(t, true, "1 agent-back host h1", "1 proof-whole host h1")
	p.look(p.now)
	p.told(t, true)
}

// Refused attaches are counted from the first reading of a leader on.
func TestLookoutCountsRefusals(t *testing.T) {
	p := newPlace()
	full := func(host string) Refusal { return Refusal{host, "alice", "full"} }
	p.refused[full("h1")] = 7
	p.look(p.now)
	p.told(t, true)
	p.refused[full("h1")], p.refused[full("h2")] = 10, 2
	p.look(p.now)
	p.told(t, true, "5 attach-refused tenant alice; last on host h2")
	p.leads = false
	p.refused[full("h1")] = 20
	p.look(p.now)
	p.leads = true
	p.look(p.now)
	p.told(t, true)
	p.refused[full("h1")] = 1 // another host of the name, which counts anew
	p.look(p.now)
	p.told(t, true)
}

// Of packets that limits drop one event a minute is told, for each tenant and limit, from the first reading of a leader on.
func TestLookoutTellsOfDrops(t *testing.T) {
	p := newPlace()
	rate, full := Drop{"alice", "too fast"}, Drop{"alice", "full"}
	p.dropped[rate] = 1000
	p.after(3 * time.Second)
	p.told(t, true) // it was so before
	p.dropped[rate], p.dropped[full] = 1500, 3
	p.after(30 * time.Second)
	p.dropped[rate] = 9000
	p.told(t, true)
	p.after(time.Minute)
	p.told(t, true, "1 traffic-refused tenant alice; 8000 packets in a minute", "1 traffic-refused tenant alice; 3 packets in a minute")
	p.after(2 * time.Minute)
	p.told(t, true) // nothing was dropped since
	p.leads = false
	p.after(time.Minute)
	p.dropped[rate] = 20000
	p.leads = true
	p.after(2 * time.Minute)
	p.told(t, true) // another leader told of it
	p.dropped[rate] = 20001
	p.after(time.Minute)
	p.told(t, true, "1 traffic-refused tenant alice; 1 packets in a minute")
}

// What the leader tells of changes; nobody else does, and what was there when it began is no news.
func TestChangesThatAreTold(t *testing.T) {
	gateway := func(g store.Gateway) *store.Gateway { return &g }
	alice := store.GatewayKey("alice")
	limits := func(ports, connections int) *store.Tenant {
		return &store.Tenant{Limits: store.Limits{Ports: ports, Connections: connections}}
	}
	for want, change := range map[string]store.Change{
		"gateway-moved tenant alice alice [h1 h2]: from h1 to h2: by hand": {Key: alice, Before: gateway(store.Gateway{Active: "h1", Backup: "h2", Move: &store.Move{To: "h2"}}),
			After: gateway(store.Gateway{Active: "h2", Why: "by hand"})},
		"gateway-failed-over tenant alice alice [h1 h2]: from h1 to h2: h1 is dead": {Key: alice, Before: gateway(store.Gateway{Active: "h1", Backup: "h2", Move: &store.Move{To: "h3"}}),
			After: gateway(store.Gateway{Active: "h2", Why: "h1 is dead"})},
		"gateway-stays tenant alice alice [h1 h2]: at h1, and does not go to h2: late": {Key: alice, Before: gateway(store.Gateway{Active: "h1", Move: &store.Move{To: "h2"}}),
			After: gateway(store.Gateway{Active: "h1", Why: "late"})},
		"limits-changed tenant alice alice []: ports 1 -> 2, connections 0 -> 5: ": {Key: store.TenantKey("alice"), Before: limits(1, 0), After: limits(2, 5)},
		"limits-changed port alice/default/a1 alice []: egressKbps 0 -> 7: ":       {Key: store.PortKey("h1", "alice", "default", "a1"), Before: &store.Port{}, After: &store.Port{Limits: store.PortLimits{EgressKbps: 7}}},
		"host-adopted host h1  [h1]: it belongs to the cluster: ":                  {Key: store.HostKey("h1"), After: &store.Host{}},
		"host-adopted host h2  [h2]: it belongs to the cluster: ":                  {Key: store.HostKey("h2"), Before: &store.Host{}, After: &store.Host{}, Anew: true},
		"host-deleted host h1  [h1]: it belongs to the cluster no more: ":          {Key: store.HostKey("h1"), Before: &store.Host{}},
		"a":  {Key: alice, After: gateway(store.Gateway{Active: "h1"})},
		"b":  {Key: alice, Before: gateway(store.Gateway{Active: "h1"})},
		"c":  {Key: alice, Before: gateway(store.Gateway{Active: "h1"}), After: gateway(store.Gateway{Active: "h1", Backup: "h2"})},
		"d":  {Key: store.TenantKey("alice"), Before: limits(1, 0), After: limits(1, 0)},
		"e":  {Key: store.TenantKey("alice"), After: limits(1, 0)},
		"f":  {Key: store.HostKey("h1"), Before: &store.Host{}, After: &store.Host{Gateway: true}},
		"g":  {Key: store.PortKey("h1", "alice", "default", "a1"), After: &store.Port{}},
		"i":  {Key: store.PortKey("h1", "alice", "default", "a1"), Before: &store.Port{}, After: &store.Port{Number: 7}},
		"j":  {Key: store.PortKey("h1", "alice", "default", "a1"), Before: &store.Port{Limits: store.PortLimits{EgressKbps: 7}}},
		"h ": {Key: alice, Before: gateway(store.Gateway{Active: "h1"}), After: gateway(store.Gateway{Active: "h2"}), Anew: true},
	} {
		p := newPlace()
		u := cluster.Update{Changes: []store.Change{change}}
		p.Observe(u)
		p.told(t, true)
		p.Observe(u)
		var got []string
		for _, h := range p.Log.takeWaiting() {
			got = append(got, fmt.Sprintf("%s %s %s %v: %s: %s", h.What, h.Object, h.Tenant, h.Hosts, h.Text, h.Detail))
		}
		if len(want) < 3 {
			want = ""
		}
		if strings.Join(got, "; ") != want {
			t.Errorf("noted is %q, not %q", got, want)
		}
		p.leads = false
		p.Observe(u)
		p.told(t, true)
	}
}
