package controller

import (
	"context"
	"iter"
	"maps"
	"slices"
	"time"

	"sluice/controller/account"
	"sluice/controller/cluster"
	"sluice/controller/events"
	"sluice/controller/host"
	"sluice/controller/proof"
	"sluice/controller/traffic"
	"sluice/controller/usage"
	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/metrics"
	"sluice/store"
	"sluice/store/etcd"
)

// Name is the controller's own.
func (c *Controller) Name() string { return c.opts.Name }

// Ready is closed when the state was first read from etcd.
func (c *Controller) Ready() <-chan struct{} { return c.picture.Loaded() }

// Serving is which store this controller serves, and whether etcd holds it.
func (c *Controller) Serving() etcd.TrustState {
	if c.opts.Trust == nil {
		return etcd.TrustState{Judgement: store.Judgement{Verdict: store.Right}, Believed: true}
	}
	return c.opts.Trust.State()
}

// View lets f read the state. f must not keep what it is given, nor call the controller.
func (c *Controller) View(f func(*store.State)) { c.picture.View(f) }

// Await returns once the state is at least at a revision, or when ctx ends.
func (c *Controller) Await(ctx context.Context, rev store.Revision) error {
	return c.picture.Await(ctx, rev)
}

// Each lets f look at the n objects of a list, a bounded number of them under one hold of the
// state's lock; f must not keep the state, nor call the controller.
func (c *Controller) Each(n int, f func(s *store.State, i int)) { c.picture.Each(n, f) }

// Hosts is how every registered host stands, sorted by name.
func (c *Controller) Hosts() []host.Status {
	hosts := slices.Collect(c.fleet.All())
	list := make([]host.Status, len(hosts))
	c.picture.Each(len(hosts), func(s *store.State, i int) { list[i] = hosts[i].Status(s, c.opts.Name) })
	return list
}

// Unknown are the datapath ids of switches that dialled in and belong to no host, and how many
// there are besides.
func (c *Controller) Unknown() store.UnknownSwitches { return c.sessions.Unknown() }

// Problems are what is wrong with single objects, sorted and each told once.
func (c *Controller) Problems() []store.Problem {
	list := append(c.leader.Problems(), c.sessions.Problems()...)
	hosts := slices.Collect(c.fleet.All())
	c.picture.Each(len(hosts), func(s *store.State, i int) {
		if !cluster.IsAnothers(s, c.opts.Name, hosts[i].Name) {
			list = append(list, hosts[i].Problems()...)
		}
	})
	return list.Told()
}

// problems are the same of one state, for who holds it.
func (c *Controller) problems(s *store.State) store.Problems {
	return slices.Concat(c.leader.Problems(), c.sessions.Problems(), c.fleet.Problems(s)).Told()
}

// Installed reads the flows that a host's switch holds now.
func (c *Controller) Installed(ctx context.Context, host string) ([]openflow.FlowStats, error) {
	return c.sessions.Installed(ctx, host)
}

// LastDump is what a host's switch held when this controller last read all its flows, and when; the zero time: it is not kept.
func (c *Controller) LastDump(host string) ([]openflow.FlowStats, time.Time, error) {
	return c.dumps.Last(host)
}

// FromPeers reads the flows by which a host's switch takes what other hosts send it, with their counters.
func (c *Controller) FromPeers(ctx context.Context, host string) ([]openflow.FlowStats, error) {
	return c.sessions.FromPeers(ctx, host)
}

// Prove reads the flows that a host's switch holds now, and proves that they keep tenants apart.
func (c *Controller) Prove(ctx context.Context, host string) (*proof.Look, error) {
	return c.sessions.Prove(ctx, host)
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

// Past is the state as it was at a revision, which nobody may change.
func (c *Controller) Past(ctx context.Context, rev store.Revision) (*store.State, error) {
	return c.history.At(ctx, rev)
}

// SwitchAt is a host's switch for states of the past, and how many interfaces it has not now: their numbers are assumed.
func (c *Controller) SwitchAt(name string, states ...*store.State) (sw flows.Switch, gone int) {
	if h := c.fleet.Get(name); h != nil {
		return h.SwitchOf(states...)
	}
	return host.SwitchThen(name, states...)
}

// Ports are the OpenFlow numbers of a host's interfaces; told is false where its switch never told them
// to this controller, and they are assumed.
func (c *Controller) Ports(name string) (numbers map[string]uint32, told bool, err error) {
	h := c.fleet.Get(name)
	if h == nil {
		return nil, false, host.ErrUnknown{Host: name}
	}
	c.picture.View(func(s *store.State) { numbers = h.Switch(s).OFPort })
	return numbers, h.PortsKnown(), nil
}

// Gone is how long a host's switch has had no session with this controller; 0: it has one.
func (c *Controller) Gone(name string) time.Duration {
	if h := c.fleet.Get(name); h != nil {
		return h.Gone()
	}
	return 0
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

// allLedgers are those of all hosts.
func (c *Controller) allLedgers() iter.Seq[*account.Ledger] {
	return func(yield func(*account.Ledger) bool) {
		for h := range c.fleet.All() {
			if !yield(h.Ledger) {
				return
			}
		}
	}
}

// snapshot is what /metrics shows: of the hosts that this controller programs, and where it leads the sums of
// tenants on all hosts. It is put together without the picture's lock: programming goes on meanwhile.
func (c *Controller) snapshot() metrics.Snapshot {
	snap := metrics.Snapshot{Hosts: noHosts(), Sessions: c.sessions.Roles(), Seen: int64(c.picture.Revision())}
	snap.Realized, snap.Problems = snap.Seen, len(c.Problems())
	unknown := c.Unknown()
	snap.Unknown = len(unknown.Unknown) + unknown.UnknownMore
	snap.Held = c.Serving().Held()
	if c.opts.Identity != nil {
		snap.Certificate = c.opts.Identity.Certificate().NotAfter
	}
	c.picture.View(func(s *store.State) { snap.Requests = len(slices.Collect(s.Requests())) })
	for _, h := range c.countHosts(&snap) {
		for table, n := range h.Tables() {
			if n > 0 {
				snap.Flows = append(snap.Flows, metrics.Flows{Host: h.Name, Table: flows.TableName(table), Count: n})
			}
		}
	}
	c.addTotals(&snap)
	c.addUsage(&snap)
	c.addGateways(&snap)
	return snap
}

// addGateways adds what gateway hosts carry, where this controller leads.
func (c *Controller) addGateways(snap *metrics.Snapshot) {
	if !c.leader.Leads() {
		return
	}
	for host, load := range c.meter.Loads() {
		snap.Gateways = append(snap.Gateways, metrics.GatewayLoad{Host: host, Bytes: load})
	}
}

// Outlook is what gateway hosts carry, and the moves that balance proposes.
func (c *Controller) Outlook(ctx context.Context, q traffic.Question) (traffic.Outlook, error) {
	return c.meter.Outlook(ctx, q)
}

// addTotals adds what tenants sent, got and were refused, where this controller leads. Where it cannot be read it is
// left out: sums that stand still would come as one burst later.
func (c *Controller) addTotals(snap *metrics.Snapshot) {
	totals, err := c.totals.Sums(context.Background())
	if err != nil {
		c.opts.Log.Warn("metrics lack the sums of tenants", "err", err)
	}
	snap.Leads, snap.Summed = c.leader.Leads(), err == nil
	c.addTraffic(snap, totals.Classes)
	c.addThrough(snap, totals.Gateways)
}

// addUsage adds what tenants use of their limits, where this controller leads.
func (c *Controller) addUsage(snap *metrics.Snapshot) {
	sums := c.usage.Sums()
	names := c.tenantNames(maps.Keys(sums))
	for number, u := range sums {
		if name := names[number]; name != "" {
			snap.Usage = append(snap.Usage, metrics.Usage{
				Tenant: name, Connections: u.Connections, KernelConnections: u.KernelConnections,
				KernelDrops: u.KernelDrops, PortsRefused: u.PortsRefused, NewPortsRefused: u.NewPortsRefused, QuestionsRefused: u.QuestionsRefused, Answers: u.Answers,
			})
		}
	}
}

// Visited is when something passed last by what tenants publish by routes. What cannot be read is as it was known before.
func (c *Controller) Visited(ctx context.Context) map[store.Key]store.Visit {
	visits, err := c.usage.Visited(ctx)
	if err != nil {
		c.opts.Log.Debug("visits are as they were read before", "err", err)
	}
	return visits
}

// Damped are the gateway hosts that came and went, each with the hosts that do not send there for a while. What cannot be read is as it was known before.
func (c *Controller) Damped(ctx context.Context) map[string][]string {
	damped, err := c.usage.Damped(ctx)
	if err != nil {
		c.opts.Log.Debug("which gateway hosts are damped is as it was read before", "err", err)
	}
	return damped
}

// Usage is what a tenant uses of its limits, or nil where there is no such tenant. With an error it
// is what was known before.
func (c *Controller) Usage(ctx context.Context, tenant string) (*usage.Tenant, error) {
	return c.usage.Of(ctx, tenant)
}

// countHosts counts hosts by their state and returns those that this controller programs. Each
// is looked at as of a revision that is no older than the one seen first, so that the least of
// what they realized is what all of them hold.
func (c *Controller) countHosts(snap *metrics.Snapshot) (mine []*host.Host) {
	hosts := slices.Collect(c.fleet.All())
	c.picture.Each(len(hosts), func(s *store.State, i int) {
		h := hosts[i]
		if cluster.IsAnothers(s, c.opts.Name, h.Name) {
			return // that controller's to count
		}
		snap.Hosts[string(h.Status(s, c.opts.Name).State)]++
		if !cluster.IsMaster(s, c.opts.Name, h.Name) {
			return
		}
		mine = append(mine, h)
		snap.Proofs = append(snap.Proofs, proofOf(h))
		if realized, exception := h.Standing(s.Revision()); exception == nil {
			snap.Realized = min(snap.Realized, int64(realized))
		}
	})
	return mine
}

// proofOf is what is proved of a host that this controller programs.
func proofOf(h *host.Host) metrics.Proof {
	p := h.Proof()
	return metrics.Proof{Host: h.Name, Proved: p.Isolation == host.IsolationProved, Findings: p.Findings, At: p.At, Whole: p.Whole}
}

// refused are the attaches that hosts refused by limits, by the names of their tenants.
func (c *Controller) refused() (sums map[events.Refusal]uint64, ok bool) {
	list, ok := c.usage.Refused()
	names := c.tenantNames(func(yield func(uint32) bool) {
		for _, r := range list {
			if !yield(r.Tenant) {
				return
			}
		}
	})
	sums = map[events.Refusal]uint64{}
	for _, r := range list {
		if name := names[r.Tenant]; name != "" {
			sums[events.Refusal{Host: r.Host, Tenant: name, Why: "the tenant has as many ports as it may"}] = r.Ports
			sums[events.Refusal{Host: r.Host, Tenant: name, Why: "the tenant makes ports faster than it may"}] = r.NewPorts
		}
	}
	return sums, ok
}

// noHosts has every state, so that a state in which no host is shows as 0.
func noHosts() map[string]int {
	return map[string]int{
		string(store.HostRealized): 0, string(store.HostBehind): 0, string(store.HostMissing): 0,
		string(store.HostUnreachable): 0, string(store.HostRefused): 0,
		string(store.HostLastKnown): 0, string(store.HostDown): 0,
	}
}

// addTraffic turns classes into tenants' series. A tenant that is gone has none, and what never
// counted a packet is left out.
func (c *Controller) addTraffic(snap *metrics.Snapshot, totals map[flows.Class]account.Sum) {
	names := c.tenantNames(func(yield func(uint32) bool) {
		for class := range totals {
			if !yield(class.Tenant) {
				return
			}
		}
	})
	for class, total := range totals {
		name, exists := names[class.Tenant]
		switch {
		case !exists:
		case class.Reason != "":
			snap.Drops = append(snap.Drops, metrics.Drops{Tenant: name, Reason: class.Reason, Packets: total.Packets})
		default:
			snap.Traffic = append(snap.Traffic, metrics.Traffic{
				Tenant: name, Direction: class.Direction, Scope: class.Scope,
				Packets: total.Packets, Bytes: total.Bytes,
			})
		}
	}
}

// addThrough adds what passed gateway hosts.
func (c *Controller) addThrough(snap *metrics.Snapshot, totals map[account.Gateway]account.Sum) {
	names := c.tenantNames(func(yield func(uint32) bool) {
		for of := range totals {
			if !yield(of.Tenant) {
				return
			}
		}
	})
	for of, sum := range totals {
		if name := names[of.Tenant]; name != "" {
			snap.Through = append(snap.Through, metrics.Through{Tenant: name, Host: of.Host, Direction: of.Direction, Packets: sum.Packets, Bytes: sum.Bytes})
		}
	}
}

// tenantNames are the names of the tenants that have the numbers, by number. 0 is nobody.
func (c *Controller) tenantNames(of iter.Seq[uint32]) map[uint32]string {
	names := map[uint32]string{0: ""}
	var numbers []uint32
	for number := range of {
		if _, known := names[number]; !known {
			names[number] = ""
			numbers = append(numbers, number)
		}
	}
	c.picture.Each(len(numbers), func(s *store.State, i int) {
		if tenant := s.TenantByNumber(numbers[i]); tenant != nil {
			names[numbers[i]] = tenant.Key.Tenant
		} else {
			delete(names, numbers[i])
		}
	})
	return names
}
