package controller

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/flows"
	"sluice/metrics"
	"sluice/store"
)

// crowd is a controller that leads and masters hosts, each of which counted packets of every tenant in every
// class that there is. Nothing runs.
func crowd(t *testing.T, hosts, tenants int) *Controller {
	t.Helper()
	c, err := New(Options{Name: "c1", Store: checkpointed{hosts: hosts, tenants: tenants}, Registry: prometheus.NewRegistry(), Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	var events []store.Event
	put := func(key store.Key, o store.Object) {
		events = append(events, store.Event{Key: key, Object: o, Created: 1, Modified: 1})
	}
	for n := range tenants {
		put(store.TenantKey(fmt.Sprintf("t%d", n+1)), &store.Tenant{Number: uint32(n + 1)})
	}
	for n := range hosts {
		name := fmt.Sprintf("h%d", n+1)
		put(store.HostKey(name), &store.Host{DatapathID: store.DatapathID(n + 1), VTEPs: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)})}})
		put(store.MasterKey(name), &store.Master{Controller: "c1"})
	}
	if err := c.picture.Apply(store.Batch{Revision: 1, Events: events}); err != nil {
		t.Fatal(err)
	}
	c.totals.Leads = func() bool { return true }
	for h := range c.fleet.All() {
		for _, table := range flows.Tables() {
			h.Grow(table.ID, 1)
		}
	}
	return c
}

// checkpointed is an etcd that has a checkpoint of each host.
type checkpointed struct {
	Store
	hosts, tenants int
}

func (s checkpointed) Counters(context.Context, store.Revision) (list []store.Event, _ store.Revision, _ error) {
	saved := &store.StatusCounters{Counters: counted(s.tenants)}
	for n := range s.hosts {
		list = append(list, store.Event{Key: store.StatusCountersKey(fmt.Sprintf("h%d", n+1)), Object: saved, Modified: 1})
	}
	return list, 1, nil
}

// counted has every class of every tenant, and of nobody, once.
func counted(tenants int) (list []store.Counter) {
	for n := range tenants + 1 {
		if n > 0 {
			for _, direction := range []string{flows.DirectionIn, flows.DirectionOut} {
				for _, scope := range []string{flows.ScopeInternal, flows.ScopeEgress, flows.ScopeGateway} {
					list = append(list, store.Counter{Tenant: uint32(n), Direction: direction, Scope: scope, Packets: 1, Bytes: 100})
				}
			}
		}
		for _, reason := range flows.Reasons() {
			list = append(list, store.Counter{Tenant: uint32(n), Reason: reason.Name, Packets: 1})
		}
	}
	return list
}

// While a scrape adds up what a large cluster counted, batches of the watch are taken in: had the
// scrape held the state, none would be between its beginning and its end but those at either end.
func TestAScrapeHoldsUpNoBatch(t *testing.T) {
	c := crowd(t, 300, 100)
	var revision atomic.Int64
	revision.Store(1)
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			next := revision.Load() + 1
			if err := c.picture.Apply(store.Batch{Revision: store.Revision(next)}); err != nil {
				stopped <- err
				return
			}
			revision.Store(next)
		}
	}()
	first := revision.Load()
	snap := c.snapshot()
	taken := revision.Load() - first
	close(stop)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	if taken < 20 {
		t.Errorf("%d batches were taken in while the scrape ran", taken)
	}
	if snap.Realized > snap.Seen {
		t.Errorf("realized at %d, and seen only %d", snap.Realized, snap.Seen)
	}
}

// A cluster in which everything counted has as many series as docs/metrics.md says, and one in
// which nothing did has none for tenants and tables.
func TestSeriesGrowAsStated(t *testing.T) {
	const hosts, tenants = 3, 4
	snap := crowd(t, hosts, tenants).snapshot()
	numbers := map[string]int{
		"sluice_tenant_bytes_total": len(snap.Traffic), "sluice_tenant_packets_total": len(snap.Traffic),
		"sluice_tenant_gateway_bytes_total": len(snap.Through), "sluice_tenant_gateway_packets_total": len(snap.Through),
		"sluice_tenant_drops_total": len(snap.Drops), "sluice_flows": len(snap.Flows),
		"sluice_hosts": len(snap.Hosts),
	}
	for _, d := range metrics.Descriptions() {
		got, collected := numbers[d.Name]
		if !collected {
			continue
		}
		stated := 1
		for _, factor := range strings.Split(d.Series(), " x ") {
			n := map[string]int{"hosts": hosts, "tenants": tenants + 1}[factor] // nobody's drops have no tenant
			if n == 0 {
				if _, err := fmt.Sscan(factor, &n); err != nil {
					t.Fatal(err)
				}
			}
			stated *= n
		}
		if got == 0 || got > stated {
			t.Errorf("%s has %d series: stated are %s", d.Name, got, d.Series())
		}
	}
	quiet := crowd(t, hosts, 0).snapshot()
	if len(quiet.Traffic) > 0 {
		t.Errorf("no tenant, and traffic %v", quiet.Traffic)
	}
	silent := crowd(t, 0, tenants).snapshot()
	if n := len(silent.Traffic) + len(silent.Drops) + len(silent.Flows); n > 0 {
		t.Errorf("nothing counted, and %d series", n)
	}
}
