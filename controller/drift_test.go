package controller_test

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/controller/host"
	"sluice/store"
	"sluice/store/etcd"
)

// drift is what the metric says, and what the host's status does.
func (b *bench) drift(c *running) (metric, status host.Drift) {
	b.t.Helper()
	of := func(kind string) int {
		return int(c.count(b.t, "sluice_audit_drift_total", "host="+h1, "kind="+kind))
	}
	metric = host.Drift{Missing: of("missing"), Extra: of("extra"), Changed: of("changed")}
	if d := c.Hosts()[0].Drift; d != nil {
		status = *d
		status.Last = time.Time{}
	}
	return metric, status
}

// drifted waits until that much was counted, and fails where it is more.
func (b *bench) drifted(c *running, what string, want host.Drift) {
	b.t.Helper()
	total := func(d host.Drift) int { return d.Missing + d.Extra + d.Changed }
	b.eventually(what+" is counted", func() bool {
		metric, status := b.drift(c)
		return total(metric) >= total(want) && total(status) >= total(want)
	})
	if metric, status := b.drift(c); metric != want || status != want {
		b.t.Errorf("%s: the metric says %+v, the status %+v; want %+v", what, metric, status, want)
	}
}

// audited waits for audits that compare flows.
func (b *bench) audited(c *running, times float64) {
	b.t.Helper()
	compared := func() float64 {
		return c.count(b.t, "sluice_audits_total", "how=whole") + c.count(b.t, "sluice_audits_total", "how=differs")
	}
	before := compared()
	b.eventually("the flows are audited", func() bool { return compared() >= before+times })
}

// countsFlows says that status and metrics tell how many flows the switch holds.
func (b *bench) countsFlows(c *running) {
	b.t.Helper()
	held, metric := len(b.dump()), int(c.count(b.t, "sluice_flows", "host="+h1))
	if status := c.Hosts()[0].Flows; status != held || metric != held {
		b.t.Errorf("the status says %d flows and the metric %d, the switch holds %d", status, metric, held)
	}
}

// flowsOf are the flows of a table.
func (b *bench) flowsOf(table int) []string {
	b.t.Helper()
	in := fmt.Sprintf(" table=%d,", table)
	return slices.DeleteFunc(b.dump(), func(f string) bool { return !strings.Contains(f, in) })
}

// registerOther registers a host that has no switch.
func (b *bench) registerOther(name string) *etcd.Registration {
	b.t.Helper()
	reg, err := b.store.RegisterHost(b.ctx, name, store.Host{
		Incarnation: "one", DatapathID: datapathID + 1, VTEPs: []netip.Addr{netip.MustParseAddr("172.30.0.2")},
		Encap: "vxlan", UnderlayMTU: 1500,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { reg.Close() })
	return reg
}

// A flow that one host's switch refuses for another host's port makes the first an exception,
// of which who attached the port is told, and is no drift.
func TestRefusedFlowOfAnotherHostsPort(t *testing.T) {
	b, c, _ := newProgrammed(t)
	other := b.registerOther("h2")
	b.realized(b.port("alice", "a2", "bbbbbbbbbbbb", true))
	const forward = 80
	b.ovs.VSCtl("--", "--id=@full", "create", "Flow_Table", fmt.Sprint("flow_limit=", len(b.flowsOf(forward))), "overflow_policy=refuse",
		"--", "set", "Bridge", store.BridgeName, fmt.Sprint("flow_tables:", forward, "=@full"))
	b1, err := b.store.CreatePort(b.ctx, store.PortSpec{
		Host: "h2", HostCreated: other.Created, Tenant: "alice", Network: "default", Name: "b1", UID: "cccccccccccc",
	})
	if err != nil {
		t.Fatal(err)
	}
	b.eventually("h1 is an exception", func() bool { return c.Hosts()[0].State == store.HostRefused })
	b.audited(c, 3)
	b.drifted(c, "nothing", host.Drift{})
	b.countsFlows(c)
	wait, cancel := context.WithTimeout(b.ctx, time.Second)
	defer cancel()
	if behind, err := b.store.WaitAll(wait, []string{h1}, b1.Created, b1.Key); err != nil || !slices.Equal(behind, []string{h1}) {
		t.Errorf("who attached b1 is told that %v lag, %v; want h1", behind, err)
	}
	b.ovs.OFCtl("del-flows", store.BridgeName, ruleOf(t, b.flowsOf(forward)[0]), "--strict")
	b.drifted(c, "what else goes", host.Drift{Missing: 1})

	b.ovs.VSCtl("clear", "Bridge", store.BridgeName, "flow_tables")
	wait, cancel = context.WithTimeout(b.ctx, patience)
	defer cancel()
	if behind, err := b.store.WaitAll(wait, []string{h1}, b1.Created, b1.Key); err != nil || len(behind) > 0 {
		t.Errorf("with room again %v lag, %v", behind, err)
	}
	b.inSync(c)
	b.countsFlows(c)
}

var ruleText = regexp.MustCompile(`(table=\d+, ).*(priority=\S+) actions`)

// ruleOf is table, priority and match of a dumped flow.
func ruleOf(t *testing.T, flow string) string {
	t.Helper()
	m := ruleText.FindStringSubmatch(flow)
	if m == nil {
		t.Fatalf("no rule in %q", flow)
	}
	return m[1] + m[2]
}

// What an audit finds is counted by what somebody did.
func TestDriftByKind(t *testing.T) {
	b, c, _ := newProgrammed(t)
	for _, kind := range []string{"missing", "extra", "changed"} {
		if !c.has(t, "sluice_audit_drift_total", "host="+h1, "kind="+kind) {
			t.Errorf("there is no series of %s flows before the first", kind)
		}
	}
	before := b.dump()
	victim := ruleOf(t, b.flowsOf(80)[0])
	for _, step := range []struct {
		what string
		do   func()
		want host.Drift
	}{
		{"a flow overwritten", func() { b.ovs.OFCtl("add-flow", store.BridgeName, victim+",actions=drop") }, host.Drift{Changed: 1}},
		{"a flow deleted", func() { b.ovs.OFCtl("del-flows", store.BridgeName, victim, "--strict") }, host.Drift{Missing: 1, Changed: 1}},
		{"a flow added", func() { b.ovs.OFCtl("add-flow", store.BridgeName, "table=80,priority=7777,actions=drop") }, host.Drift{Missing: 1, Extra: 1, Changed: 1}},
		{"a flow modified", func() { b.ovs.OFCtl("mod-flows", store.BridgeName, victim+",actions=drop", "--strict") }, host.Drift{Missing: 1, Extra: 1, Changed: 2}},
	} {
		step.do()
		b.drifted(c, step.what, step.want)
		b.eventually(step.what+" is mended", func() bool { return slices.Equal(before, b.dump()) })
		b.countsFlows(c)
	}
}

// has reports whether a metric has a series with the labels.
func (r *running) has(t *testing.T, name string, labels ...string) bool {
	t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				if hasLabels(m, labels) {
					return true
				}
			}
		}
	}
	return false
}

// The series of a host go with it.
func TestDeletedHostHasNoSeries(t *testing.T) {
	b, c, _ := newProgrammed(t)
	names := []string{"sluice_audit_drift_total", "sluice_flow_mods_refused_total", "sluice_flows"}
	for _, name := range names {
		if !c.has(t, name, "host="+h1) {
			t.Errorf("no series of %s is the host's", name)
		}
	}
	if _, err := b.store.DeleteHost(b.ctx, h1); err != nil {
		t.Fatal(err)
	}
	b.eventually("the session is over", func() bool { return c.count(t, "sluice_openflow_sessions") == 0 && len(c.Hosts()) == 0 })
	for _, name := range names {
		if c.has(t, name, "host="+h1) {
			t.Errorf("a series of %s is left", name)
		}
	}
}

// Once another controller masters a host, this one tells nothing of what it knew before.
func TestHostOfAnotherController(t *testing.T) {
	b, c, _ := newProgrammed(t)
	b.ovs.OFCtl("add-flow", store.BridgeName, "table=0,priority=7777,actions=drop")
	b.eventually("drift is counted", func() bool { return c.Hosts()[0].Drift != nil && c.Hosts()[0].Flows > 0 })
	lease, err := b.store.GrantLease(b.ctx, 60)
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Close()
	if _, err := b.store.PutIf(b.ctx, store.LiveControllerKey("c2"), &store.LiveController{Incarnation: "two"}, 0, lease.ID); err != nil {
		t.Fatal(err)
	}
	_, claimed, err := b.store.Get(b.ctx, store.MasterKey(h1))
	if err != nil {
		t.Fatal(err)
	}
	behind := &store.StatusHost{State: store.HostBehind}
	if _, err := b.store.Claim(b.ctx, h1, &store.Master{Controller: "c2", Generation: 7}, claimed, lease.ID, behind); err != nil {
		t.Fatal(err)
	}
	b.eventually("c2 is the master", func() bool { return c.Hosts()[0].Master == "c2" })
	if h := c.Hosts()[0]; h.Drift != nil || h.Flows != 0 {
		t.Errorf("it tells of %d flows and drift %+v", h.Flows, h.Drift)
	}
}

// Flows that someone deletes, adds or changes by hand are mended and counted.
func TestAuditMendsDrift(t *testing.T) {
	b, c, _ := newProgrammed(t)
	b.port("alice", "a2", "bbbbbbbbbbbb", true)
	a3 := b.port("alice", "a3", "cccccccccccc", true)
	b.realized(a3)
	before := b.dump()
	b.eventually("audits read hardly a flow where only the controller changes them", func() bool {
		return c.count(t, "sluice_audits_total", "how=counted") > 3
	})
	if n := c.count(t, "sluice_audits_total", "how=differs"); n != 0 {
		t.Errorf("%v audits took the controller's own changes for somebody else's", n)
	}
	b.ovs.OFCtl("add-flow", store.BridgeName, "table=0,priority=7777,actions=NORMAL")
	b.ovs.OFCtl("del-flows", store.BridgeName, "table=0,arp")
	b.eventually("the drift is mended", func() bool { return cmp.Equal(before, b.dump()) })
	if n := c.count(t, "sluice_audit_drift_total", "kind=extra"); n < 1 {
		t.Errorf("no extra flow was counted")
	}
	if d := c.Hosts()[0].Drift; d == nil || d.Extra < 1 || d.Last.IsZero() {
		t.Errorf("the host's status shows drift %+v", d)
	}
	counted := c.count(t, "sluice_audits_total", "how=counted")
	b.eventually("audits read hardly a flow again", func() bool { return c.count(t, "sluice_audits_total", "how=counted") > counted+3 })
	b.ovs.OFCtl("mod-flows", store.BridgeName, "table=0,actions=drop") // one flow or more changes, none comes or goes
	b.eventually("the changed flows are mended", func() bool { return cmp.Equal(before, b.dump()) })
	b.eventually("flows are read now and then", func() bool { return c.count(t, "sluice_audits_total", "how=quick") > 0 })
	b.eventually("every flow is compared now and then", func() bool { return c.count(t, "sluice_audits_total", "how=whole") > 0 })
	b.inSync(c)
}
