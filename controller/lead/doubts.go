package lead

import (
	"iter"
	"maps"
	"slices"

	"sluice/store"
)

// sweepAtOnce is how many tenants are looked at under one hold of the picture's lock, where all or many are.
const sweepAtOnce = 1000

// doubts are the tenants that may lack a gateway, or have an impossible one, and the hosts that changed, of which their tenants follow
// (see ofHosts). all stands for every tenant; it is so until somebody leads.
type doubts struct {
	all     bool
	tenants map[string]struct{}
	hosts   map[string]struct{}
}

func (d *doubts) note(tenants ...string) {
	if d.all {
		return
	}
	if d.tenants == nil {
		d.tenants = map[string]struct{}{}
	}
	for _, tenant := range tenants {
		d.tenants[tenant] = struct{}{}
	}
}

func (d *doubts) noteHost(host string) {
	if d.all {
		return
	}
	if d.hosts == nil {
		d.hosts = map[string]struct{}{}
	}
	d.hosts[host] = struct{}{}
}

func (d *doubts) noteAll() { *d = doubts{all: true} }

// change notes the tenants on whose gateway a change casts doubt, and reports whether there may be any.
func (d *doubts) change(c store.Change) bool {
	switch c.Key.Kind {
	case store.KindHost, store.KindLiveHost, store.KindDrain:
		d.noteHost(c.Key.Host)
	case store.KindSettings:
		d.noteAll()
	case store.KindTenant, store.KindGateway:
		d.note(c.Key.Tenant)
	case store.KindEmptied: // of what it says the leader's next look takes notice
	default:
		return false
	}
	return true
}

// take hands out the doubts.
func (d *doubts) take() doubts {
	taken := *d
	*d = doubts{}
	return taken
}

// of walks the tenants in doubt that exist, sorted by name.
func (d doubts) of(s *store.State) iter.Seq[*store.Item[store.Tenant]] {
	if d.all {
		return s.Tenants()
	}
	return func(yield func(*store.Item[store.Tenant]) bool) {
		for _, name := range slices.Sorted(maps.Keys(d.tenants)) {
			if tenant := s.Tenant(name); tenant != nil && !yield(tenant) {
				return
			}
		}
	}
}

// ofHosts notes the tenants for which hosts that changed matter: that have a part of theirs there, or name them; those for which no host
// was found, or that wait for one; and where such a host may be a gateway host, those that have no backup, or one that is not ready. What it
// looks at are these, and not all tenants. The caller has locked l.mu.
func (l *Leader) ofHosts(s *store.State, d *doubts, shunned map[string]bool) {
	if d.all || len(d.hosts) == 0 {
		return
	}
	d.note(slices.Collect(maps.Keys(l.unplaced))...)
	d.note(slices.Collect(maps.Keys(l.backupless))...)
	d.note(slices.Collect(maps.Keys(l.waiting))...)
	central, gateways := s.Central(), false
	if _, doubted := d.hosts[central]; doubted || !capable(s, central) || s.Drain(central) != nil {
		d.note(s.TenantsNaming(store.GatewayCentral)...)
	}
	for host := range d.hosts {
		d.note(s.TenantsVia(host)...)
		d.note(s.TenantsNaming(host)...)
		gateways = gateways || capable(s, host)
	}
	if !gateways || !s.FailOver() {
		return
	}
	d.note(s.Unbacked()...)
	for h := range s.Hosts() {
		if host := h.Key.Host; s.BackupVia(host) > 0 && (s.WhyNoGateway(host) != nil || shunned[host]) {
			d.note(s.TenantsVia(host)...)
		}
	}
}

// shorten leaves tenants in doubt to sweep, where there are many of them. The caller has locked l.mu.
func (l *Leader) shorten(d *doubts) {
	if d.all || len(d.tenants) <= sweepAtOnce {
		return
	}
	d.note(l.unswept...)
	l.unswept, d.tenants = slices.Collect(maps.Keys(d.tenants)), nil
}

// sweep has the next tenants looked at, where all or many are to be. What was written must be in the picture first, so that it is counted.
// The caller has locked l.mu.
func (l *Leader) sweep(s *store.State, d *doubts) {
	if d.all {
		*d = doubts{}
		l.unswept = s.TenantNames()
		clear(l.unplaced)
		clear(l.backupless)
		clear(l.slotless)
		clear(l.waiting)
		l.later = nil
	}
	if s.Revision() < l.slots.at {
		return
	}
	n := min(len(l.unswept), sweepAtOnce)
	d.note(l.unswept[:n]...)
	if l.unswept = l.unswept[n:]; len(l.unswept) == 0 {
		l.unswept = nil
		return
	}
	l.placing.Send()
}
