package hostagent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"sluice/store"
)

// publishedInterval is how often it is looked what programs of this host listen on, while anything is published here.
const publishedInterval = 10 * time.Second

// published keeps the knowledge of the tenants' publications whose gateway host this is now. The nftables keeper lets them in.
// It outlives the agent, so that a restart while etcd is away closes none.
type published struct {
	host     string
	store    Store
	ports    *publishing
	file     string
	changed  bell // rings when one came or went
	moved    bell // rings when floating addresses may have to come or go
	problems *problems
	listens  func() ([]store.Endpoint, error)

	mu      sync.Mutex
	now     []opening
	by      map[netip.Addr]store.Key // floating addresses that this host has by now, each with a publication by which it does
	tabled  map[netip.Addr]bool      // floating addresses whose ports our nftables table has
	read    time.Time                // when the last read began that told what now is
	at      store.Revision           // of what the last try read
	gateway int                      // how many gateways the cluster has
	there   map[opening]bool

	reading time.Time                // when the last read began; this and what follows is the keeper's alone
	readBy  map[netip.Addr]store.Key // what by is to be
	unsaved bool                     // the file does not have what now is
}

// opening is a port of this host that leads to a tenant: by its transit address, from where the switch knows the way.
type opening struct {
	Protocol   store.Protocol `json:"protocol"`
	Port       uint16         `json:"port"`
	Transit    netip.Addr     `json:"transit"`
	KeepSource bool           `json:"keepSource,omitempty"`
	Address    netip.Addr     `json:"address,omitzero"` // a floating one; none: any of this host's own
	// Behind is the tenant's gateway host where this one is its backup: its floating address is here only while that host is dead.
	Behind string `json:"behind,omitempty"`
}

// load reads what an earlier agent knew. What cannot be decoded is as good as none.
func (p *published) load() error {
	now, err := recall[[]opening](p.file, "publications")
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = now
	return nil
}

// known are the openings of this host now, also as an earlier agent knew them.
func (p *published) known() []opening {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now // which is replaced and never changed
}

func (p *published) is(context.Context) ([]opening, error) { return p.known(), nil }

// should be what etcd says now, less what programs of this host listen on: nothing is taken from them.
func (p *published) should(ctx context.Context) ([]opening, error) {
	began := time.Now()
	s, err := p.look(ctx)
	if err != nil {
		return nil, err
	}
	here, there := openingsOf(s, p.host)
	p.mu.Lock()
	p.at, p.there = s.Revision(), there
	p.mu.Unlock()
	p.reading, p.readBy = began, holdersOf(s, p.host)
	if len(here) == 0 {
		p.problems.report("published ports", nil)
		return nil, nil
	}
	listens, err := p.listens()
	if err != nil {
		return nil, err
	}
	here, taken := apart(here, listens)
	p.problems.report("published ports", taken)
	return here, nil
}

// look reads what publications depend on.
func (p *published) look(ctx context.Context) (*store.State, error) {
	ports, err := p.ports.events(ctx)
	if err != nil {
		return nil, err
	}
	s, gateways, err := readPublished(ctx, p.store, ports...)
	if err == nil && gateways > 0 {
		p.mu.Lock()
		p.gateway = gateways
		p.mu.Unlock()
	}
	return s, err
}

// readPublished reads publications and what they depend on, beside ports that publish themselves, and counts the tenants that they may be
// of: where nothing is published, nothing more is read.
func readPublished(ctx context.Context, from Store, ports ...store.Event) (s *store.State, gateways int, err error) {
	events, at, err := from.List(ctx, store.KindPublication)
	if err != nil {
		return nil, 0, fmt.Errorf("list publications: %w", err)
	}
	all := slices.Concat(events, ports)
	for _, kind := range []store.Kind{store.KindTenant, store.KindGateway} {
		if len(events)+len(ports) == 0 {
			break
		}
		more, _, err := from.List(ctx, kind)
		if err != nil {
			return nil, 0, fmt.Errorf("list what publications depend on: %w", err)
		}
		all, gateways = append(all, more...), max(gateways, len(more))
	}
	settings, _, err := from.Get(ctx, store.SettingsKey())
	if err != nil {
		return nil, 0, fmt.Errorf("read the cluster's settings: %w", err)
	}
	if settings != nil {
		all = append(all, store.Event{Key: store.SettingsKey(), Object: settings})
	}
	s = store.NewState()
	s.Apply(store.Batch{Revision: at, Events: all})
	return s, gateways, nil
}

// openingsOf are the openings of publications that a host lets in, or would as the backup, and all that there are on any host. Of two tenants
// that ask for one port of a host the older publication has it.
func openingsOf(s *store.State, host string) (here []opening, there map[opening]bool) {
	there = make(map[opening]bool)
	for p := range s.Publications() {
		t := s.Tenant(p.Key.Tenant)
		at, why := s.PublishedAt(p)
		if p.Value.Routed() || t == nil {
			continue
		}
		slot := s.Slot(host, t)
		if slot == 0 && t.Value.Number <= store.MaxSlot { // by which it was known here before its gateway went elsewhere
			slot = t.Value.Number
		}
		if slot == 0 {
			continue
		}
		for e := range p.Value.HostPorts() {
			o := opening{Protocol: e.Protocol, Port: e.Port, Transit: s.Transit().Address(slot), KeepSource: p.Value.KeepSource, Address: p.Value.Address}
			there[o.way()] = true
			if o.floats() && backs(s, p.Key.Tenant, host) {
				o.Behind = at
			}
			if (at == host || o.Behind != "") && why == nil && s.Slot(host, t) == slot {
				here = append(here, o)
			}
		}
	}
	return here, there
}

// backs reports whether a host is the backup of a tenant's gateway.
func backs(s *store.State, tenant, host string) bool {
	g := s.Gateway(tenant)
	return g != nil && g.Value.Active != host && g.Value.Backup == host
}

// way is the opening whoever is seen by the container.
func (o opening) way() opening {
	o.KeepSource, o.Behind = false, ""
	return o
}

// floats reports whether it is on a floating address, where no program of this host listens.
func (o opening) floats() bool { return o.Address.IsValid() }

func (o opening) endpoint() store.Endpoint { return store.Endpoint{Protocol: o.Protocol, Port: o.Port} }

// apart are the openings that no program has the port of, and which it has.
func apart(here []opening, listens []store.Endpoint) (free []opening, taken error) {
	var errs []error
	for _, o := range here {
		if !o.floats() && slices.Contains(listens, o.endpoint()) {
			errs = append(errs, fmt.Errorf("%s is published to a tenant, and a program of this host listens on it, which keeps it: publish on another port, or stop the program", o.endpoint()))
		} else {
			free = append(free, o)
		}
	}
	return free, errors.Join(errs...)
}

// makeSo tells what is published here, and when the read began that said so, at one time: who acts by the one must not have an older other. It
// is remembered only then, since a full disk must not keep an address here that went.
func (p *published) makeSo(_ context.Context, should, is []opening) error {
	p.mu.Lock()
	p.now, p.read, p.by = should, p.reading, p.readBy
	p.mu.Unlock()
	p.moved.ring() // also one that was given up may be this host's again
	if !slices.Equal(should, is) {
		p.unsaved = true
		p.changed.ring()
	}
	if !p.unsaved {
		return nil
	}
	err := remember(p.file, "publications", should)
	p.unsaved = err != nil
	return err
}

// inTable notes the openings that our nftables table has.
func (p *published) inTable(openings []opening) {
	tabled := make(map[netip.Addr]bool)
	for _, o := range openings {
		if o.floats() {
			tabled[o.Address] = true
		}
	}
	p.mu.Lock()
	changed := !maps.Equal(tabled, p.tabled)
	p.tabled = tabled
	p.mu.Unlock()
	if changed {
		p.moved.ring()
	}
}

// floating are the floating addresses that are to be here, or may have to be; those of which the nftables table has the ports; and when the read
// began by which they are wanted; zero: an earlier agent knew it.
func (p *published) floating() (wanted map[netip.Addr]string, tabled map[netip.Addr]bool, read time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	wanted = make(map[netip.Addr]string)
	for _, o := range p.now {
		if o.floats() {
			wanted[o.Address] = o.Behind
		}
	}
	return wanted, p.tabled, p.read // these are replaced and never changed
}

// holdersOf are the floating addresses that a host has, each with a publication by which it does.
func holdersOf(s *store.State, host string) map[netip.Addr]store.Key {
	by := make(map[netip.Addr]store.Key)
	for p := range s.Publications() {
		if !p.Value.Floats() {
			continue
		}
		if at, why := s.PublishedAt(p); at == host && why == nil {
			by[p.Value.Address] = p.Key
		}
	}
	return by
}

// stays reports whether etcd says now of that publication and of its tenant's gateway what it said when the address came to this host.
func (p *published) stays(ctx context.Context, a netip.Addr) bool {
	p.mu.Lock()
	key, known := p.by[a]
	p.mu.Unlock()
	if !known {
		return false
	}
	o, _, err := p.store.Get(ctx, store.GatewayKey(key.Tenant))
	if gateway, there := o.(*store.Gateway); err != nil || !there || gateway.Active != p.host {
		return false
	}
	o, _, err = p.store.Get(ctx, key)
	publication, there := o.(*store.Publication)
	return err == nil && there && publication.Address == a
}

// has is an error unless etcd says now that a floating address is to be here. Two keys mostly tell: in a large cluster all that is published cannot be
// read each time that another machine says that it has an address.
func (p *published) has(ctx context.Context, a netip.Addr) error {
	if p.stays(ctx, a) {
		return nil
	}
	s, err := p.look(ctx)
	if err != nil {
		return err
	}
	here, _ := openingsOf(s, p.host)
	if slices.ContainsFunc(here, func(o opening) bool { return o.Address == a && o.Behind == "" }) {
		return nil
	}
	return fmt.Errorf("it is published by another host")
}

// ended reports whether an opening is published nowhere any more. One that only moved to another host is.
func (p *published) ended(o opening) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.there != nil && !p.there[o.way()]
}

// wait is the keeper's rhythm: it returns when a publication or a gateway changed.
func (p *published) wait(ctx context.Context) {
	p.mu.Lock()
	at, rest, limit := p.at, restInterval, tenantsInterval
	if len(p.there) > 0 {
		rest, limit = max(restInterval, restPerTenant*time.Duration(p.gateway)), max(publishedInterval, 10*restPerTenant*time.Duration(p.gateway))
	}
	p.mu.Unlock()
	awaitRested(ctx, rest, limit, at, p.changedAfter)
}
