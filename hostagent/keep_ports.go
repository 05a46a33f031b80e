package hostagent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"sluice/datapath/ovsdb"
	"sluice/store"
	"sluice/store/etcd"
)

// ports keeps the interfaces of this host's ports: it undoes attaches that did not finish, gives the
// switch back the interfaces that it lacks, keeps the records of ports, and settles what is to become
// of interfaces that no port accounts for.
type ports struct {
	host         string
	store        Store
	registration *registration
	reached      func(step)
	log          *slog.Logger
	quarantine   time.Duration // how long an interface without port stays
	db           *ovsdb.DB     // this and what follows is set before anything runs
	journal      *journal
	records      *records
	serving      *serving
	absent       absences         // this, vanished and failed are the mend loop's alone
	vanished     absences         // ports whose interface is gone, by interface
	failed       map[string]error // by interface: why a port could not be taken back

	mu    sync.Mutex
	count int
	gone  map[string]bool // ports whose interface vanished, by interface: said once
	told  map[string]bool // interfaces in quarantine: said once
}

// inventory is what the host has of its ports in the kernel and in the switch, and who works
// on which of them.
type inventory struct {
	recorded  map[string]record // by interface, as of before all that follows was looked at
	links     map[string]bool   // interfaces of the kernel, by name
	rows      map[string]ovsdb.InterfaceStatus
	held      map[string]bool // uids that an attach or detach works on
	abandoned []intent
}

// is looks at the kernel and the switch first, and then at who works. should reads etcd after
// that: an attach that had made an interface by the first look, and is not under way at the
// second, has its port in etcd, unless it failed.
func (p *ports) is(ctx context.Context) (inventory, error) {
	inv := inventory{rows: make(map[string]ovsdb.InterfaceStatus), recorded: p.records.known()}
	var err error
	if inv.links, err = portLinks(); err != nil {
		return inv, err
	}
	rows, err := p.db.Ports(ctx, store.BridgeName)
	if err != nil {
		return inv, fmt.Errorf("list ports of %s: %w", store.BridgeName, err)
	}
	for _, row := range rows {
		if row.ExternalIDs[idUID] != "" {
			inv.rows[row.Name] = row
		}
	}
	inv.held = p.journal.held()
	inv.abandoned, err = p.journal.abandoned()
	return inv, err
}

// assigned are the ports that etcd gives this host.
type assigned struct {
	registration *etcd.Registration // nil: the host is not registered, and nobody knows its ports
	ports        map[string]store.Event
	// leaving are the others: somebody asked for them to go, and etcd did not take it yet.
	leaving []store.Event
	// stampedAt is the revision of a stamp that stood in the store when the ports were read; 0:
	// none is known to have.
	stampedAt store.Revision
}

// should reads this host's ports by interface. Those older than its registration belong to a
// host that was deleted, unless the host has kept them: nobody asked for them to go.
func (p *ports) should(ctx context.Context) (assigned, error) {
	s := assigned{registration: p.registration.current(), ports: make(map[string]store.Event)}
	if s.registration == nil {
		return s, nil
	}
	before := p.serving.trust.State()
	all, _, err := p.store.List(ctx, store.KindPort, p.host)
	if err != nil {
		return s, fmt.Errorf("list ports of host %s: %w", p.host, err)
	}
	known := p.records.known()
	for _, e := range all {
		port := e.Object.(*store.Port)
		one, kept := known[port.Interface]
		kept = kept && one.Port.UID == port.UID
		switch current := e.Created >= s.registration.Created; {
		case kept && one.Leaving && current:
			s.leaving = append(s.leaving, e)
		case current || kept && !one.Leaving:
			s.ports[port.Interface] = e
		}
	}
	if after := p.serving.trust.State(); !before.Since.IsZero() && after.Since.Equal(before.Since) {
		s.stampedAt = before.Sight.StampedAt
	}
	return s, nil
}

func (p *ports) makeSo(ctx context.Context, should assigned, is inventory) error {
	if should.registration == nil {
		return nil
	}
	if err := p.undoAbandoned(ctx, is.abandoned, should.registration.Created); err != nil {
		return err
	}
	if err := p.finishLeaving(ctx, should, is); err != nil {
		return err
	}
	for _, i := range is.abandoned { // undone by now
		delete(should.ports, i.iface())
	}
	r := repairsOf(should.ports, is)
	if err := p.clearGone(ctx, r.gone, should); err != nil {
		return err
	}
	var err error
	if r.strays, err = p.letGo(ctx, r.strays); err != nil {
		return err
	}
	if err := errors.Join(p.keepRecords(should, is), p.settleStrays(ctx, r.strays, is.links, should), p.replug(ctx, r.unplugged)); err != nil {
		return err
	}
	p.noteCount(r.ports)
	p.registration.noteClean(should.registration)
	return nil
}

// keepRecords keeps the records of those ports that are in the store and that nobody works on. A
// stamp that is younger than a port, and stood when the port was read, vouches for it from then on.
func (p *ports) keepRecords(should assigned, is inventory) error {
	var errs []error
	known := p.records.known()
	for iface, e := range should.ports {
		port := e.Object.(*store.Port)
		if is.held[port.UID] || !is.links[iface] {
			continue
		}
		one := recordOf(e.Key, port, e.Created)
		one.Vouched = e.Created < should.stampedAt || known[iface].Vouched && known[iface].Created == e.Created
		errs = append(errs, p.records.keep(one))
	}
	for iface, one := range is.recorded {
		if _, port := should.ports[iface]; port || is.links[iface] || is.held[one.Port.UID] {
			continue
		}
		if _, plugged := is.rows[iface]; !plugged { // nothing is left that it could speak for
			errs = append(errs, p.records.forget(iface))
		}
	}
	return errors.Join(errs...)
}

// repairs are how what is differs from what should be.
type repairs struct {
	strays    []string      // interfaces that belong to no port
	unplugged []store.Event // ports whose interface the switch lacks or cannot use
	gone      []store.Event // ports whose interface vanished with its container's namespace
	ports     int           // that the host has, those under way too
}

// repairsOf leaves alone what an attach or detach works on, and what an abandoned attach may
// have made: that is undone as a whole.
func repairsOf(should map[string]store.Event, is inventory) repairs {
	should, leave := maps.Clone(should), maps.Clone(is.held)
	for _, i := range is.abandoned {
		delete(should, i.iface())
		leave[i.UID] = true
	}
	r := repairs{ports: len(should)}
	for _, name := range is.interfaces() {
		if _, wanted := should[name]; !wanted && !leave[strings.TrimPrefix(name, interfacePrefix)] {
			r.strays = append(r.strays, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(should)) {
		row, plugged := is.rows[name]
		switch {
		case leave[should[name].Object.(*store.Port).UID]:
		case !is.links[name]:
			r.gone = append(r.gone, should[name])
		case !plugged || row.OFPort <= 0:
			r.unplugged = append(r.unplugged, should[name])
		}
	}
	return r
}

// interfaces are the names of all that is in the kernel or in the switch, sorted.
func (inv inventory) interfaces() []string {
	all := slices.AppendSeq(slices.Collect(maps.Keys(inv.links)), maps.Keys(inv.rows))
	slices.Sort(all)
	return slices.Compact(all)
}

func (p *ports) undoAbandoned(ctx context.Context, intents []intent, created store.Revision) error {
	for _, i := range intents {
		if err := p.undo(ctx, i, created); err != nil {
			return fmt.Errorf("undo the attach of %s/%s/%s: %w", i.Tenant, i.Network, i.Name, err)
		}
		p.log.Info("undid an unfinished attach", "tenant", i.Tenant, "network", i.Network, "port", i.Name)
		if err := p.journal.done(i.UID); err != nil {
			return err
		}
	}
	return nil
}

func (p *ports) removeStrays(ctx context.Context, strays []string) error {
	var errs []error
	for _, iface := range strays {
		if p.unreadable(ctx, iface) {
			continue
		}
		if err := p.unplug(ctx, iface); err != nil {
			errs = append(errs, fmt.Errorf("remove %s, which belongs to no port: %w", iface, err))
			continue
		}
		p.log.Warn("removed an interface that belonged to no port", "interface", iface)
	}
	return errors.Join(errs...)
}

// unreadable reports whether an interface belongs to a port that is in the store after all, though
// its value cannot be read: whoever spoilt it may put it right. A detach removes both.
func (p *ports) unreadable(ctx context.Context, iface string) bool {
	one, recorded := p.records.known()[iface]
	if !recorded || one.Leaving {
		return false
	}
	_, _, err := p.store.Get(ctx, one.key(p.host))
	return errors.Is(err, store.ErrUnreadable)
}

// replug gives the switch the interfaces that it should have and lacks.
func (p *ports) replug(ctx context.Context, unplugged []store.Event) error {
	var errs []error
	for _, e := range unplugged {
		port := e.Object.(*store.Port)
		if err := p.plugIn(ctx, e.Key, port); err != nil {
			errs = append(errs, err)
			continue
		}
		p.log.Warn("gave an interface back to the switch", "interface", port.Interface, "port", e.Key.Name)
	}
	return errors.Join(errs...)
}

func (p *ports) noteCount(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count = n
}

// counted is how many ports the host had at the last look.
func (p *ports) counted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}
