package hostagent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"sluice/store"
)

const (
	// defaultQuarantine is how long an interface must have belonged to no port, in a store that is
	// known to be right, before it is removed.
	defaultQuarantine = 10 * time.Minute
	// freeStrays and freeShare bound what is removed so without a word of the operator's: as many
	// interfaces, or that share of the host's, whichever is more.
	freeStrays = 3
	freeShare  = 0.2
)

// sorting is what is to become of interfaces that belong to no port of the store.
type sorting struct {
	remove  []string // now
	offered []record // ports that the store may have lost: nothing happens to them without a word
	waiting []string // in quarantine
	strays  []string // too many: they wait for a word
}

// sortStrays decides. absent is for how long each has belonged to no port; ports how many the
// host has.
func sortStrays(strays []string, links map[string]bool, known map[string]record, absent map[string]time.Duration, quarantine time.Duration, ports int) (s sorting) {
	var quarantined, due []string
	for _, iface := range strays {
		one, recorded := known[iface]
		switch {
		case recorded && one.Leaving:
			s.remove = append(s.remove, iface)
		case recorded && !one.Vouched && links[iface]:
			s.offered = append(s.offered, one)
		case !links[iface]: // its container is gone: there is nothing that could be lost
			if absent[iface] >= quarantine {
				s.remove = append(s.remove, iface)
			}
		case absent[iface] >= quarantine:
			due, quarantined = append(due, iface), append(quarantined, iface)
		default:
			s.waiting, quarantined = append(s.waiting, iface), append(quarantined, iface)
		}
	}
	s.offered = sortedRecords(s.offered)
	if len(quarantined) > allowedStrays(ports+len(quarantined)) {
		s.waiting, s.strays = nil, quarantined
		return s
	}
	s.remove = append(s.remove, due...)
	return s
}

// allowedStrays is how many of a host's interfaces may be removed without a word.
func allowedStrays(interfaces int) int { return max(freeStrays, int(freeShare*float64(interfaces))) }

// absences knows since when interfaces have belonged to no port.
type absences struct {
	mu    sync.Mutex
	since map[string]time.Time
}

// note takes in which interfaces are strays now, and returns for how long each of them has been
// one, all the time in a store known to be right since a time. One that is new, or that had its
// port back meanwhile, begins anew.
func (a *absences) note(strays []string, right time.Time, now time.Time) map[string]time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	since, lasted := map[string]time.Time{}, map[string]time.Duration{}
	for _, iface := range strays {
		began, had := a.since[iface]
		if !had || began.Before(right) {
			began = now
		}
		since[iface], lasted[iface] = began, now.Sub(began)
	}
	a.since = since
	return lasted
}

// settleStrays does what may be done about interfaces of no port, and asks the operator about the
// rest.
func (p *ports) settleStrays(ctx context.Context, strays []string, links map[string]bool, should assigned) error {
	right, known := p.store.Trusted()
	if !known { // nobody vouches for what is absent
		right = time.Now()
	}
	absent := p.absent.note(strays, right, time.Now())
	s := sortStrays(strays, links, p.records.known(), absent, p.quarantine, len(should.ports))
	if p.serving.isAdopting() {
		s.offered = p.takeAllBack(ctx, s.offered, should)
		if err := p.serving.asker.heard(ctx, p.store); err != nil {
			return fmt.Errorf("hear the operator's word: %w", err)
		}
	}
	word, err := p.request(ctx, s)
	if err != nil {
		return fmt.Errorf("ask the operator for a word: %w", err)
	}
	if word != "" {
		if s, err = p.obey(ctx, word, s, should); err != nil {
			return err
		}
	}
	p.noteWaiting(s)
	return p.removeStrays(ctx, s.remove)
}

// obey does what the operator said.
func (p *ports) obey(ctx context.Context, word string, s sorting, should assigned) (sorting, error) {
	p.log.Info("the operator said a word", "word", word, "ports", len(s.offered), "interfaces", len(s.strays))
	switch word {
	case store.WordAdopt:
		s.offered = p.takeAllBack(ctx, s.offered, should)
	case store.WordClean:
		for _, one := range s.offered {
			s.remove = append(s.remove, one.Port.Interface)
		}
		s.remove = append(s.remove, s.strays...)
		if err := p.removeStrays(ctx, s.remove); err != nil {
			return s, err
		}
		s.offered, s.strays, s.remove = nil, nil, nil
	}
	if err := p.serving.asker.heard(ctx, p.store); err != nil {
		return s, fmt.Errorf("hear the operator's word: %w", err)
	}
	_, err := p.request(ctx, s)
	return s, err
}

// request asks for a word about what nobody may decide alone.
func (p *ports) request(ctx context.Context, s sorting) (string, error) {
	r := store.Request{Strays: s.strays}
	for _, one := range s.offered {
		r.Offered = append(r.Offered, offerOf(one, p.failed[one.Port.Interface]))
	}
	return p.serving.asker.ask(ctx, p.store, r)
}

// takeAllBack writes ports into the store that it lacks, and returns those that it could not, with
// the reason. It ends an adoption: what fails now waits for the next word.
func (p *ports) takeAllBack(ctx context.Context, offered []record, should assigned) (failed []record) {
	for _, one := range offered {
		delete(p.failed, one.Port.Interface)
		if err := p.takeBack(ctx, one, should); err != nil {
			p.failed[one.Port.Interface] = err
			failed = append(failed, one)
			p.log.Warn("cannot take a port back", "tenant", one.Tenant, "network", one.Network, "port", one.Name, "err", err)
		}
	}
	p.serving.setAdopting(false)
	return failed
}

func (p *ports) takeBack(ctx context.Context, one record, should assigned) error {
	defer p.journal.hold(one.Port.UID)()
	back, err := p.store.TakePortBack(ctx, store.Readoption{
		Key: one.key(p.host), Port: one.Port, HostCreated: should.registration.Created, HostLease: int64(should.registration.Lease.ID),
	})
	if err != nil {
		return err
	}
	p.log.Info("took a port back into the store", "tenant", one.Tenant, "network", one.Network, "port", one.Name, "rev", back.Created)
	return errors.Join(p.records.keep(recordOf(back.Key, back.Value, back.Created)), p.plugIn(ctx, back.Key, back.Value))
}

func (p *ports) noteWaiting(s sorting) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, iface := range s.waiting {
		if !p.told[iface] {
			p.log.Warn("an interface belongs to no port: it is removed after a while", "interface", iface, "after", p.quarantine)
		}
	}
	p.told = map[string]bool{}
	for _, iface := range s.waiting {
		p.told[iface] = true
	}
}
