package traffic

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"sluice/controller/balance"
	"sluice/store"
	"sluice/store/etcd"
)

// Question is what is asked of balance.
type Question struct {
	Start float64 // by how many times the mean the hottest host is above it before anything moves
	Most  int     // moves
	// Rests reports whether a tenant's gateway is to stay though it could move; nil: none is.
	Rests func(tenant string, g *store.Gateway) bool
}

// Outlook is what gateway hosts carry, and the moves after which they would carry alike.
type Outlook struct {
	balance.Plan
	Hosts []HostLoad
	// Measured is for how long the loads are measured.
	Measured time.Duration
}

// HostLoad is what a host carries as a gateway host.
type HostLoad struct {
	Host    string
	Weight  int
	Tenants int     // that leave by it, or are on their way there
	Load    float64 // bytes a second that pass it: those of its tenants, and of connections that stayed when their tenant moved on
	Then    float64 // the same once the moves are made, and connections of before have ended
	// Out says why the host has no part: no gateway moves there, nor from there; empty: it has.
	Out string
}

// Mean is what a unit of weight carries on the average, of the hosts that have a part.
func (o *Outlook) Mean() float64 {
	load, weight := 0.0, 0
	for _, h := range o.Hosts {
		if h.Out == "" {
			load, weight = load+h.Load, weight+h.Weight
		}
	}
	return load / float64(max(weight, 1))
}

// Hottest is what the host carries that carries most for its weight.
func (o *Outlook) Hottest() (most float64) {
	level := 0.0
	for _, h := range o.Hosts {
		if its := h.Load / float64(h.Weight); h.Out == "" && its > level {
			level, most = its, h.Load
		}
	}
	return most
}

// Outlook asks which gateways would move.
func (m *Meter) Outlook(ctx context.Context, q Question) (Outlook, error) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	reached, err := m.Store.Reached(ctx)
	if err != nil {
		return Outlook{}, fmt.Errorf("read which hosts are reached: %w", err)
	}
	known := m.averages()
	var o Outlook
	m.Picture.View(func(s *store.State) { o = outlook(s, reached, known, q) })
	o.Measured = known.time
	return o, nil
}

// outlook is the same of a state.
func outlook(s *store.State, reached map[string]etcd.Reach, known measured, q Question) Outlook {
	o := Outlook{Hosts: hostsOf(s, reached)}
	byName := map[string]*HostLoad{}
	var hosts []balance.Host
	for n := range o.Hosts {
		h := &o.Hosts[n]
		byName[h.Host] = h
		if h.Out == "" {
			hosts = append(hosts, balance.Host{Name: h.Host, Weight: float64(h.Weight)})
		}
	}
	tenants := tenantsOf(s, known, q.Rests)
	for host, load := range carried(tenants) {
		if h := byName[host]; h != nil {
			h.Load = load
		}
	}
	o.Plan = balance.Of(hosts, tenants, q.Start, q.Most)
	for n := range o.Hosts {
		h := &o.Hosts[n]
		h.Then = h.Load
		if then, has := o.Loads[h.Host]; has {
			h.Then = then
		}
	}
	return o
}

// hostsOf are all gateway hosts, sorted by name.
func hostsOf(s *store.State, reached map[string]etcd.Reach) (list []HostLoad) {
	coming := map[string]int{}
	for _, tenant := range s.Unsettled() {
		if g := s.Gateway(tenant).Value; g.Move != nil {
			coming[g.Move.To]++
			coming[g.Active]--
		}
	}
	for h := range s.Hosts() {
		name := h.Key.Host
		if h.Value.Gateway || s.ActiveVia(name) > 0 {
			list = append(list, HostLoad{Host: name, Weight: max(h.Value.Weight, 1), Tenants: s.ActiveVia(name) + coming[name], Out: whyOut(s, reached, name)})
		}
	}
	return list
}

// whyOut says why a host is neither a goal of moves nor relieved by them; empty: it may be both.
func whyOut(s *store.State, reached map[string]etcd.Reach, host string) string {
	if err := s.WhyNoGateway(host); err != nil {
		return err.Error()
	}
	if at, mastered := reached[host]; !mastered || at.Down {
		return fmt.Sprintf("host %s: no controller reaches its switch: see sluice status", host)
	}
	return ""
}

// carried is what passes each host now.
func carried(tenants []balance.Tenant) map[string]float64 {
	by := map[string]float64{}
	for _, t := range tenants {
		by[t.Host] += t.Load
		for host, load := range t.Stays {
			by[host] += load
			by[t.Host] -= load
		}
	}
	return by
}

// tenantsOf are the tenants that send or get anything, sorted by name, each at the host by which it leaves or will soon, with what of its load still
// passes those that it left.
func tenantsOf(s *store.State, known measured, rests func(string, *store.Gateway) bool) (list []balance.Tenant) {
	for number, load := range known.loads {
		t := s.TenantByNumber(number)
		if t == nil {
			continue
		}
		g := s.Gateway(t.Key.Tenant)
		if g == nil {
			continue
		}
		host := g.Value.Active
		if g.Value.Move != nil {
			host = g.Value.Move.To
		}
		fixed := !movable(t.Value, g.Value) || rests != nil && rests(t.Key.Tenant, g.Value)
		list = append(list, balance.Tenant{Name: t.Key.Tenant, Load: load, Host: host, Fixed: fixed, Stays: staysOf(g.Value, number, load, host, known)})
	}
	slices.SortFunc(list, func(a, b balance.Tenant) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// staysOf is what of a tenant's load still passes the hosts that it left, by host; nil: nothing. In sum it is no more than the load, which is
// measured over another time.
func staysOf(g *store.Gateway, number uint32, load float64, host string, known measured) (parts map[string]float64) {
	for _, left := range g.Draining {
		part := min(known.stays[place{number, left}], load)
		if left == host || part <= 0 {
			continue
		}
		if parts == nil {
			parts = map[string]float64{}
		}
		parts[left], load = part, load-part
	}
	return parts
}

// movable reports whether a tenant's policy lets its gateway move, and nothing of an earlier move is left.
func movable(t *store.Tenant, g *store.Gateway) bool {
	return (t.Gateway == store.GatewayAuto || t.Gateway == "") && g.Settled()
}

// Loads are what gateway hosts carry, by host.
func (m *Meter) Loads() map[string]float64 {
	known := m.averages()
	by := map[string]float64{}
	m.Picture.View(func(s *store.State) {
		all := carried(tenantsOf(s, known, nil))
		for _, h := range hostsOf(s, nil) {
			by[h.Host] = all[h.Host]
		}
	})
	return by
}
