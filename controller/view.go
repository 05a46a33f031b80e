package controller

import (
	"context"

	"sluice/controller/account"
	"sluice/controller/host"
	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/metrics"
	"sluice/store"
)

// Name is the controller's own.
func (c *Controller) Name() string { return c.opts.Name }

// Ready is closed when the state was first read from etcd.
func (c *Controller) Ready() <-chan struct{} { return c.picture.Loaded() }

// View lets f read the state. f must not keep what it is given, nor call the controller.
func (c *Controller) View(f func(*store.State)) { c.picture.View(f) }

// Await returns once the state is at least at a revision, or when ctx ends.
func (c *Controller) Await(ctx context.Context, rev store.Revision) error {
	return c.picture.Await(ctx, rev)
}

// Hosts is how every registered host stands, sorted by name.
func (c *Controller) Hosts() (list []host.Status) {
	c.picture.View(func(s *store.State) { list = c.fleet.Statuses(s) })
	return list
}

// Unknown are the datapath ids of switches that dialled in and belong to no host.
func (c *Controller) Unknown() []store.DatapathID { return c.sessions.Unknown() }

// Problems are what is wrong with single objects, sorted and each told once.
func (c *Controller) Problems() (list []store.Problem) {
	c.picture.View(func(s *store.State) { list = c.problems(s) })
	return list
}

func (c *Controller) problems(s *store.State) store.Problems {
	return append(c.leader.Problems(), c.fleet.Problems(s)...).Told()
}

// Installed reads the flows that a host's switch holds now.
func (c *Controller) Installed(ctx context.Context, host string) ([]openflow.FlowStats, error) {
	return c.sessions.Installed(ctx, host)
}

// Desired compiles the flows that a host's switch should hold, with its port numbers as the
// switch last told them; the switch need not be connected.
func (c *Controller) Desired(name string) (list []openflow.Flow, problems []store.Problem, err error) {
	h := c.fleet.Get(name)
	if h == nil {
		return nil, nil, host.ErrUnknown{Host: name}
	}
	if !h.PortsKnown() {
		problems = append(problems, store.ProblemOf(store.HostKey(name),
			"its switch never told its ports to this controller: their numbers are assumed, in the order of the interfaces' names"))
	}
	c.picture.View(func(s *store.State) {
		compiled, more := flows.Desired(s, h.Switch(s))
		list, problems = compiled, append(problems, more...)
	})
	return list, problems, nil
}

// ledgers are those of the hosts that this controller programs.
func (c *Controller) ledgers() map[string]*account.Ledger {
	mine := map[string]*account.Ledger{}
	c.picture.View(func(s *store.State) {
		for h := range c.fleet.Mastered(s) {
			mine[h.Name] = h.Ledger
		}
	})
	return mine
}

// snapshot is what /metrics shows: the sums of all hosts that this controller programs.
func (c *Controller) snapshot() (snap metrics.Snapshot) {
	c.picture.View(func(s *store.State) {
		totals := map[flows.Class]account.Sum{}
		snap = metrics.Snapshot{Hosts: noHosts(), Sessions: c.sessions.Roles(), Seen: int64(s.Revision())}
		for h := range c.fleet.All() {
			if m := s.Master(h.Name); m == nil || m.Value.Controller == c.opts.Name { // another's are that controller's to count
				snap.Hosts[string(h.Status(s, c.opts.Name).State)]++
			}
		}
		floor := s.Revision()
		for h := range c.fleet.Mastered(s) {
			if realized, exception := h.Standing(s.Revision()); exception == nil {
				floor = min(floor, realized)
			}
			h.Ledger.AddTo(totals)
			for table, n := range h.Tables() {
				snap.Flows = append(snap.Flows, metrics.Flows{Host: h.Name, Table: flows.TableName(table), Count: n})
			}
		}
		snap.Realized = int64(floor)
		snap.Problems = len(c.problems(s))
		addTraffic(&snap, s, totals)
	})
	return snap
}

// noHosts has every state, so that a state in which no host is shows as 0.
func noHosts() map[string]int {
	return map[string]int{
		string(store.HostRealized): 0, string(store.HostBehind): 0, string(store.HostMissing): 0,
		string(store.HostRefused): 0, string(store.HostLastKnown): 0, string(store.HostDown): 0,
	}
}

// addTraffic turns classes into tenants' series. A tenant that is gone has none.
func addTraffic(snap *metrics.Snapshot, s *store.State, totals map[flows.Class]account.Sum) {
	for class, total := range totals {
		name := ""
		if class.Tenant != 0 {
			tenant := s.TenantByNumber(class.Tenant)
			if tenant == nil {
				continue
			}
			name = tenant.Key.Tenant
		}
		if class.Reason != "" {
			snap.Drops = append(snap.Drops, metrics.Drops{Tenant: name, Reason: class.Reason, Packets: total.Packets})
			continue
		}
		snap.Traffic = append(snap.Traffic, metrics.Traffic{
			Tenant: name, Direction: class.Direction, Scope: class.Scope,
			Packets: total.Packets, Bytes: total.Bytes,
		})
	}
}
