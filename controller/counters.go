package controller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"sluice/datapath"
	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/metrics"
	"sluice/store"
	"sluice/store/etcd"
)

const (
	// checkpointInterval is how often counters that moved are written to etcd.
	checkpointInterval = 10 * time.Second
	// lastCheckpoint bounds the writing of all counters when the controller stops.
	lastCheckpoint = 2 * time.Second
)

// sum is packets and bytes.
type sum struct{ packets, bytes uint64 }

func (s *sum) add(t sum) { s.packets += t.packets; s.bytes += t.bytes }

// account is what one accounting flow counted: base before the flow that is installed
// now, last as read from that flow.
type account struct {
	base, last sum
	fell       bool // a read found less than last: the flow was replaced, or will be told to be gone
}

func (a *account) total() sum {
	t := a.base
	t.add(a.last)
	return t
}

// accounts are the sums of one host's switch. They never go back: a flow that was removed
// or replaced leaves what it had counted in base.
type accounts struct {
	mu     sync.Mutex
	sums   map[flows.Class]*account
	saved  *store.StatusCounters // the checkpoint as it was last written or read
	dirty  bool                  // the sums differ from it
	urgent bool                  // and by what no switch can tell again
}

func newAccounts() *accounts { return &accounts{sums: map[flows.Class]*account{}} }

// read takes an installed accounting flow's counters.
func (a *accounts) read(f *openflow.FlowStats) {
	class, ok := flows.Account(&f.Flow)
	if !ok {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	at := a.at(class)
	now := sum{f.Packets, f.Bytes}
	fell := now.packets < at.last.packets || now.bytes < at.last.bytes
	if fell && !at.fell {
		at.fell = true // the word that the former flow is gone may be on its way: wait for it
		return
	}
	if at.fell { // no word came
		at.base.add(at.last)
		at.fell = false
	}
	a.dirty = a.dirty || at.last != now
	at.last = now
}

// counts tells whether a flow is an accounting one.
func counts(f openflow.Flow) bool {
	_, ok := flows.Account(&f)
	return ok
}

// removed takes the last counters of a flow that is gone, and tells whether they matter.
func (a *accounts) removed(f *openflow.FlowStats) bool {
	class, ok := flows.Account(&f.Flow)
	if !ok {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	at := a.at(class)
	at.base.add(sum{f.Packets, f.Bytes})
	at.last, at.fell = sum{}, false
	a.dirty, a.urgent = true, true
	return true
}

func (a *accounts) at(class flows.Class) *account {
	at := a.sums[class]
	if at == nil {
		at = &account{}
		a.sums[class] = at
	}
	return at
}

// readCounters reads the accounting tables: a few small tables, never a dump per tenant.
func (s *session) readCounters(ctx context.Context) error {
	for _, table := range flows.AccountTables() {
		err := s.sw.TableFlows(ctx, table, func(f *openflow.FlowStats) bool {
			s.host.counts.read(f)
			return true
		})
		if err != nil {
			return fmt.Errorf("host %s: read the counters of table %s: %w", s.host.name, flows.TableName(table), err)
		}
	}
	return nil
}

// loadCounters reads a host's checkpoint, before its first counters and whenever the host
// was claimed anew: another controller may have counted on.
func (c *Controller) loadCounters(ctx context.Context, h *host) error {
	object, _, err := c.opts.Store.Get(ctx, store.StatusCountersKey(h.name))
	if err != nil {
		return fmt.Errorf("host %s: read the counters' checkpoint: %w", h.name, err)
	}
	saved, _ := object.(*store.StatusCounters)
	if saved == nil {
		saved = &store.StatusCounters{}
	}
	h.counts.load(saved)
	return nil
}

// load starts from a checkpoint, unless it is the one from which these sums went on.
func (a *accounts) load(saved *store.StatusCounters) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.saved != nil && slices.Equal(a.saved.Counters, saved.Counters) {
		return
	}
	a.sums, a.saved, a.dirty, a.urgent = map[flows.Class]*account{}, saved, false, false
	for _, c := range saved.Counters {
		at := a.at(flows.Class{Tenant: c.Tenant, Direction: c.Direction, Scope: c.Scope, Reason: c.Reason})
		at.base, at.last = sum{c.Packets, c.Bytes}, sum{c.LastPackets, c.LastBytes}
	}
}

// checkpointLoop writes counters that moved, so that a restart of the controller finds them:
// soon where a flow is gone, which no switch can be asked again, and all at the end.
func (c *Controller) checkpointLoop(ctx context.Context) error {
	tick := time.NewTicker(checkpointInterval)
	defer tick.Stop()
	limit := rate.NewLimiter(1, 1)
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastCheckpoint)
			defer cancel()
			c.checkpointAll(last, (*accounts).isDirty)
			return nil
		case <-tick.C:
			c.checkpointAll(ctx, (*accounts).isDirty)
		case <-c.uncounted:
			_ = limit.Wait(ctx) // fails only when ctx ends, which is looked at next
			c.checkpointAll(ctx, (*accounts).isUrgent)
		}
	}
}

// checkpointAll writes those that are due of the hosts that this controller programs.
func (c *Controller) checkpointAll(ctx context.Context, due func(*accounts) bool) {
	for name, h := range c.mastered() {
		if !due(h.counts) {
			continue
		}
		err := c.checkpoint(ctx, name, h)
		if errors.Is(err, store.ErrConflict) {
			continue // another masters the host now; the watch will say so
		}
		if err != nil && ctx.Err() == nil {
			c.opts.Log.Warn("cannot checkpoint counters, trying again", "host", name, "err", err)
			return
		}
	}
}

func (a *accounts) isDirty() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.dirty
}

func (a *accounts) isUrgent() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.urgent
}

// flowGone takes the last word of a counting flow.
func (s *session) flowGone(e datapath.FlowRemoved) {
	if !s.host.counts.removed(&e.FlowStats) {
		return
	}
	select {
	case s.c.uncounted <- struct{}{}:
	default:
	}
}

// mastered are the hosts that this controller programs.
func (c *Controller) mastered() map[string]*host {
	c.mu.RLock()
	defer c.mu.RUnlock()
	mine := map[string]*host{}
	for name, h := range c.hosts {
		if c.mastersLocked(name) {
			mine[name] = h
		}
	}
	return mine
}

func (c *Controller) checkpoint(ctx context.Context, name string, h *host) error {
	saved := h.counts.save(c.tenantExists)
	if saved == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err := c.opts.Store.PutStatus(ctx, []store.Event{{Key: store.StatusCountersKey(name), Object: saved}}, c.claimOf(name))
	if err != nil {
		h.counts.mu.Lock()
		h.counts.dirty, h.counts.urgent = true, true
		h.counts.mu.Unlock()
	}
	return err
}

// claimOf is a host's claim as the state shows it.
func (c *Controller) claimOf(host string) etcd.Held {
	c.mu.RLock()
	defer c.mu.RUnlock()
	held := etcd.Held{Host: host}
	if m := c.state.Master(host); m != nil {
		held.Claimed = m.Modified
	}
	return held
}

func (c *Controller) tenantExists(number uint32) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return number == 0 || c.state.TenantByNumber(number) != nil
}

// save is the checkpoint to write, or nil if nothing moved. Sums of tenants that are gone
// are forgotten: their numbers will be given to others.
func (a *accounts) save(exists func(tenant uint32) bool) *store.StatusCounters {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.dirty || a.saved == nil {
		return nil
	}
	saved := &store.StatusCounters{}
	for class, at := range a.sums {
		if !exists(class.Tenant) {
			delete(a.sums, class)
			continue
		}
		if at.total() == (sum{}) {
			continue // most reasons of most tenants: not worth a key's bytes
		}
		saved.Counters = append(saved.Counters, store.Counter{
			Tenant: class.Tenant, Direction: class.Direction, Scope: class.Scope, Reason: class.Reason,
			Packets: at.base.packets, Bytes: at.base.bytes,
			LastPackets: at.last.packets, LastBytes: at.last.bytes,
		})
	}
	slices.SortFunc(saved.Counters, compareCounters)
	a.saved, a.dirty, a.urgent = saved, false, false
	return saved
}

func compareCounters(a, b store.Counter) int {
	return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Direction, b.Direction),
		cmp.Compare(a.Scope, b.Scope), cmp.Compare(a.Reason, b.Reason))
}

// snapshot is what /metrics shows: the sums of all hosts that this controller masters.
func (c *Controller) snapshot() metrics.Snapshot {
	c.mu.RLock()
	defer c.mu.RUnlock()
	totals := map[flows.Class]sum{}
	snap := metrics.Snapshot{Hosts: noHosts(), Sessions: map[string]int{}, Seen: int64(c.state.Revision())}
	floor := c.state.Revision()
	for name, h := range c.hosts {
		if s := h.current(); s != nil {
			snap.Sessions[roleNames[s.getRole()]]++
		}
		mine := c.mastersLocked(name)
		if mine || c.state.Master(name) == nil { // another's are that controller's to count
			snap.Hosts[string(c.hostStatus(name, h).State)]++
		}
		if !mine {
			continue
		}
		if realized, exception := h.standing(c.state.Revision()); exception == nil {
			floor = min(floor, realized)
		}
		h.counts.addTo(totals)
		snap.Flows = append(snap.Flows, h.tableCounts()...)
	}
	snap.Realized = int64(floor)
	snap.Problems = len(c.problemsLocked())
	c.addTraffic(&snap, totals)
	return snap
}

// noHosts has every state, so that a state in which no host is shows as 0.
func noHosts() map[string]int {
	return map[string]int{
		string(store.HostRealized): 0, string(store.HostBehind): 0, string(store.HostMissing): 0,
		string(store.HostRefused): 0, string(store.HostDown): 0,
	}
}

// roleNames are the roles as metrics show them.
var roleNames = map[datapath.Role]string{
	datapath.RoleNoChange: "none", datapath.RoleEqual: "equal",
	datapath.RoleMaster: "master", datapath.RoleSlave: "slave",
}

func (a *accounts) addTo(totals map[flows.Class]sum) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for class, at := range a.sums {
		t := totals[class]
		t.add(at.total())
		totals[class] = t
	}
}

func (h *host) tableCounts() []metrics.Flows {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []metrics.Flows
	for table, n := range h.tables {
		list = append(list, metrics.Flows{Host: h.name, Table: flows.TableName(table), Count: n})
	}
	return list
}

// addTraffic turns classes into tenants' series. A tenant that is gone has none.
func (c *Controller) addTraffic(snap *metrics.Snapshot, totals map[flows.Class]sum) {
	for class, total := range totals {
		name := ""
		if class.Tenant != 0 {
			tenant := c.state.TenantByNumber(class.Tenant)
			if tenant == nil {
				continue
			}
			name = tenant.Key.Tenant
		}
		if class.Reason != "" {
			snap.Drops = append(snap.Drops, metrics.Drops{Tenant: name, Reason: class.Reason, Packets: total.packets})
			continue
		}
		snap.Traffic = append(snap.Traffic, metrics.Traffic{
			Tenant: name, Direction: class.Direction, Scope: class.Scope,
			Packets: total.packets, Bytes: total.bytes,
		})
	}
}
