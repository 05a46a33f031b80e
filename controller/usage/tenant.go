package usage

import (
	"context"
	"maps"
	"slices"

	"sluice/controller/account"
	"sluice/flows"
	"sluice/store"
)

// othersHosts is of how many hosts that other controllers program the counters are read for one answer:
// each is a key of some kilobytes.
const othersHosts = 64

// Tenant is what one tenant uses of its limits on all hosts, and what they refused.
type Tenant struct {
	store.Used
	ConnectionDrops uint64 `json:"connectionDrops,omitempty" doc:"packets that would have opened a connection, and that a switch refused by the limit of connections"`
	RateDrops       uint64 `json:"rateDrops,omitempty" doc:"packets that a switch dropped by the limits of kilobits a second, of the tenant and of its ports"`
	BroadcastDrops  uint64 `json:"broadcastDrops,omitempty" doc:"broadcast and multicast frames that a switch dropped by the limit of broadcasts"`
	HostsNotRead    int    `json:"hostsNotRead,omitempty" doc:"hosts whose drops are not in these sums: other controllers program them, and they could not be read or are too many"`
}

// Of is what a tenant uses, or nil where there is no such tenant. With an error it is what was known
// before.
func (r *Reader) Of(ctx context.Context, name string) (*Tenant, error) {
	err := r.read(ctx, fresh)
	mine := r.Mastered()
	var number uint32
	var others []string
	r.Picture.View(func(s *store.State) {
		if t := s.Tenant(name); t != nil {
			number, others = t.Value.Number, hostsOf(s, name)
		}
	})
	if number == 0 {
		return nil, err
	}
	t := &Tenant{}
	for tenant, used := range r.used() {
		if tenant == number {
			t.Add(used)
		}
	}
	for _, ledger := range mine {
		t.addDrops(number, ledger.Total)
	}
	others = slices.DeleteFunc(others, func(host string) bool { return mine[host] != nil })
	r.addOthers(ctx, t, number, others)
	return t, err
}

// hostsOf are the hosts that may have dropped packets of a tenant: those with its ports, and those by which it leaves.
func hostsOf(s *store.State, tenant string) []string {
	hosts := map[string]bool{}
	for h := range s.Hosts() {
		g := s.Gateway(tenant)
		if name := h.Key.Host; s.TenantPresent(name, tenant) || g != nil && g.Value.At(name) {
			hosts[name] = true
		}
	}
	return slices.Sorted(maps.Keys(hosts))
}

// addOthers adds what the switches of other controllers' hosts dropped, by their last checkpoints.
func (r *Reader) addOthers(ctx context.Context, t *Tenant, number uint32, hosts []string) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	for i, host := range hosts {
		if i >= othersHosts {
			t.HostsNotRead += len(hosts) - i
			return
		}
		object, _, err := r.Store.Get(ctx, store.StatusCountersKey(host))
		if err != nil {
			t.HostsNotRead++
			continue
		}
		if saved, there := object.(*store.StatusCounters); there {
			t.addDrops(number, func(class flows.Class) account.Sum { return account.SavedTotal(saved, class) })
		}
	}
}

// addDrops adds what a switch dropped, by the sums of its classes.
func (t *Tenant) addDrops(number uint32, total func(flows.Class) account.Sum) {
	t.ConnectionDrops += total(flows.ConnectionLimited(number)).Packets
	t.BroadcastDrops += total(flows.BroadcastLimited(number)).Packets
	t.RateDrops += total(flows.RateLimited(number)).Packets + total(flows.PortRateLimited(number)).Packets
}
