package hostagent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"sluice/store"
)

// floating keeps the floating addresses on this host's uplinks that its tenants publish on, and tells the neighbours of them. They are no
// addresses of the host's: no program of it is reached there.
//
// An address comes by the store's word; or to the backup, while its switch finds the gateway host dead and no machine answers to the address.
// It goes by the store's word; when the agent does not renew it; and when another machine says that it has it while etcd does not say at once that it
// is this host's: so one that is cut off from etcd keeps its addresses, and gives them up to the host that got them.
type floating struct {
	o              Options
	published      *published
	infrastructure *infrastructure
	registration   *registration
	problems       *problems
	dead           func(host string) bool // reports whether this host's switch finds another one dead
	due            bell                   // rings when addresses may have to come or go
	tableDue       bell                   // the nftables table may forget some
	listening      bell                   // rings when links changed
	log            *slog.Logger

	here []spot    // what the last look at the kernel found; this and what follows is the keeper's alone
	read time.Time // when the read of publications began by which the last try judged

	mu       sync.Mutex
	holds    map[netip.Addr]*hold
	given    map[spot]time.Time       // when the kernel was told last to keep an address
	standby  int                      // how many addresses are another host's, which may die
	standIns map[netip.Addr]bool      // addresses that are here since their host is dead: etcd does not say so
	givenUp  map[netip.Addr]time.Time // to another machine, when
	rivals   map[netip.Addr]rival     // machines that say that they have one, which is this host's
	links    []int                    // interfaces of addresses
}

// rival is another machine that says that it has an address, and when it said so last.
type rival struct {
	mac store.MAC
	at  time.Time
}

const (
	// floatingRenewal is how often the agent has the kernel keep an address.
	floatingRenewal = 3 * time.Second
	// deathInterval is how often a backup looks whether the host is dead whose addresses it would have.
	deathInterval = 300 * time.Millisecond
	// rivalTime is how long a machine that says that it has an address is a problem.
	rivalTime = time.Minute
	// askTime bounds the question whether an address is this host's, while another machine says that it has it.
	askTime = time.Second
	// askRest is the least time between two such questions.
	askRest = 500 * time.Millisecond
)

// newFloating is the part of an agent that has its other parts.
func newFloating(o Options, a *Agent, log *slog.Logger) *floating {
	return &floating{
		o: o, published: a.published, infrastructure: a.infrastructure, registration: a.registration, problems: a.problems, dead: a.probes.dead,
		due: a.published.moved, tableDue: a.tableDue, listening: newBell(), log: log, standIns: make(map[netip.Addr]bool),
		holds: make(map[netip.Addr]*hold), given: make(map[spot]time.Time), givenUp: make(map[netip.Addr]time.Time), rivals: make(map[netip.Addr]rival),
	}
}

// try has the kernel keep what it has before it looks at anything: that something cannot be seen takes no address off.
func (f *floating) try(ctx context.Context) error {
	f.renew(time.Now())
	return keep(f)(ctx)
}

// renew has the kernel keep those of its floating addresses that are still wanted here. What it let go of since does not come back by that.
func (f *floating) renew(now time.Time) {
	wanted, tabled, _ := f.published.floating()
	f.mu.Lock()
	maps.DeleteFunc(f.given, func(_ spot, at time.Time) bool { return now.Sub(at) >= floatingLife-floatingRenewal })
	given := slices.Collect(maps.Keys(f.given))
	f.mu.Unlock()
	for _, s := range given {
		if host, still := wanted[s.address]; still && tabled[s.address] && (host == "" || f.dead(host)) {
			_ = f.give(s) // makeSo tells why not
		}
	}
}

func (f *floating) is(context.Context) (here []spot, err error) {
	f.here, err = again(floatingSpots)
	return f.here, err
}

// should be the addresses that are published here, whose ports the nftables table has, and that can be here; and those of hosts that are dead.
func (f *floating) should(ctx context.Context) (list []spot, err error) {
	wanted, tabled, read := f.published.floating()
	f.read = read
	if len(wanted) == 0 {
		f.note(nil, 0)
		f.problems.report("floating conflicts", nil)
		return nil, nil
	}
	subnets, err := again(func() ([]uplinkSubnet, error) { return uplinkSubnets(f.o.Uplink) })
	if err != nil {
		return nil, err
	}
	own, err := again(hostAddresses)
	if err != nil {
		return nil, err
	}
	behind := map[spot]string{}
	conflicts := f.rivalry(time.Now())
	for _, a := range slices.SortedFunc(maps.Keys(wanted), netip.Addr.Compare) {
		at, conflict := spotFor(a, subnets, own)
		claimed := f.infrastructure.claimed(a)
		conflicts = append(conflicts, conflict, claimed)
		switch host := wanted[a]; {
		case conflict != nil:
		case claimed != nil && !slices.Contains(f.here, at): // what is here stays: who tells so may be wrong
		case !tabled[a] || f.gaveUp(a, read):
		case host != "":
			behind[at] = host
		default:
			list = append(list, at)
		}
	}
	alone, unheard := f.orphans(ctx, behind)
	f.problems.report("floating conflicts", errors.Join(append(conflicts, unheard)...))
	f.note(alone, len(behind))
	return append(list, alone...), nil
}

// spotFor is where an address can be.
func spotFor(a netip.Addr, subnets []uplinkSubnet, own []netip.Addr) (spot, error) {
	if slices.Contains(own, a) {
		return spot{}, fmt.Errorf("floating address %s is published, and this host has it itself: publish on another one, or take it from the host", a)
	}
	for _, s := range subnets {
		if s.prefix.Contains(a) {
			return spot{a, s.link}, nil
		}
	}
	return spot{}, fmt.Errorf("floating address %s is published, and no uplink of this host is in a subnet with it: move its tenant's gateway to a host that has one", a)
}

// orphans are the addresses of hosts that this host's switch finds dead, which are here already or which no machine answers to. A host that lives
// answers, whoever finds it dead.
func (f *floating) orphans(ctx context.Context, behind map[spot]string) (list []spot, err error) {
	dead := map[string]bool{}
	var unknown []spot
	for at, host := range behind {
		if _, asked := dead[host]; !asked {
			dead[host] = f.dead(host)
		}
		switch {
		case !dead[host]:
		case f.standsIn(at.address):
			list = append(list, at)
		default:
			unknown = append(unknown, at)
		}
	}
	if len(unknown) == 0 {
		return list, nil
	}
	answered, err := whoAnswers(ctx, unknown)
	if err != nil {
		return list, err
	}
	for _, at := range unknown {
		if !answered[at.address] {
			f.log.Warn("the host of a floating address is dead, and no machine answers to it: it comes to this host, the backup", "address", at.address, "of", behind[at])
			list = append(list, at)
		}
	}
	return list, nil
}

// note keeps which addresses are here without etcd's word, and how many may have to be.
func (f *floating) note(alone []spot, standby int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.standIns)
	for _, s := range alone {
		f.standIns[s.address] = true
	}
	f.standby = standby
}

func (f *floating) standsIn(a netip.Addr) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.standIns[a]
}

// gaveUp reports whether an address was given up to another machine, and etcd has not said since that it is this host's.
func (f *floating) gaveUp(a netip.Addr, read time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, gave := f.givenUp[a]
	if gave && at.Before(read) && f.registration.covers(read) {
		delete(f.givenUp, a)
		return false
	}
	return gave
}

// rivalry are the problems that machines are which say that they have addresses of this host's.
func (f *floating) rivalry(now time.Time) (all []error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for a, r := range f.rivals {
		if now.Sub(r.at) >= rivalTime {
			delete(f.rivals, a)
			continue
		}
		all = append(all, fmt.Errorf("floating address %s is this host's, and the machine with MAC %s says that it has it: take it from that one, or let the address float no more", a, r.mac))
	}
	return all
}

// makeSo takes off what is not wanted here, renews what is, and tells the neighbours. What is not here yet comes only by a word of etcd's since the
// host was registered: by an older one it may be another host's meanwhile.
func (f *floating) makeSo(_ context.Context, should, is []spot) error {
	var errs []error
	for _, s := range is {
		if !slices.Contains(should, s) {
			errs = append(errs, f.leave(s, "it is not published here"))
		}
	}
	said := f.registration.covers(f.read)
	should = slices.DeleteFunc(should, func(s spot) bool { return !said && !slices.Contains(is, s) && !f.standsIn(s.address) })
	for _, s := range should {
		if !slices.Contains(is, s) {
			f.log.Info("floating address is here", "address", s.address)
		}
		errs = append(errs, f.give(s))
	}
	f.listen(should)
	return errors.Join(append(errs, f.announce(should, said))...)
}

// give has the kernel have an address, unless it was given up a moment ago.
func (f *floating) give(s spot) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, gave := f.givenUp[s.address]; gave {
		return nil
	}
	if err := s.put(); err != nil {
		return err
	}
	f.given[s] = time.Now()
	return nil
}

// leave takes an address off.
func (f *floating) leave(s spot, why string) error {
	f.mu.Lock()
	delete(f.holds, s.address)
	delete(f.given, s)
	f.mu.Unlock()
	if err := s.takeOff(); err != nil {
		return err
	}
	f.log.Info("floating address is here no more", "address", s.address, "why", why)
	f.tableDue.ring()
	return nil
}

// announce tells all neighbours of the addresses of which they are to be told now. While etcd has not said since the host was registered that they are
// its, nobody is told, since they may be another host's.
func (f *floating) announce(should []spot, said bool) error {
	var errs []error
	for _, s := range f.toAnnounce(should, said, time.Now()) {
		errs = append(errs, s.announce())
	}
	return errors.Join(errs...)
}

func (f *floating) toAnnounce(should []spot, said bool, now time.Time) (list []spot) {
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.holds, func(a netip.Addr, _ *hold) bool {
		return !slices.ContainsFunc(should, func(s spot) bool { return s.address == a })
	})
	for _, s := range should {
		if _, gave := f.givenUp[s.address]; gave {
			continue
		}
		h := f.holds[s.address]
		switch {
		case h == nil:
			h = &hold{since: now}
			f.holds[s.address] = h
		case !said && !f.standIns[s.address]:
			*h = hold{since: now} // once it says so, they are told as if it came then
		}
		if (said || f.standIns[s.address]) && h.due(now) {
			h.told, h.times = now, h.times+1
			list = append(list, s)
		}
	}
	return list
}

// wait is the keeper's rhythm: faster while an address has just come.
func (f *floating) wait(ctx context.Context) {
	f.mu.Lock()
	limit := floatingRenewal
	switch {
	case f.standby > 0:
		limit = deathInterval
	case len(f.holds) == 0:
		limit = mendInterval
	}
	for _, h := range f.holds {
		if h.times < len(announcing) {
			limit = min(limit, time.Second)
		}
	}
	f.mu.Unlock()
	f.due.wait(ctx, limit)
}

// contested is told that another machine says that it has an address of this host's. Unless etcd says at once that it is this host's, it is
// the other's.
func (f *floating) contested(ctx context.Context, s spot, mac store.MAC) {
	if !f.noteRival(s.address, mac, time.Now()) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	err := f.published.has(ctx, s.address)
	if err == nil {
		if err = s.announce(); err != nil {
			f.log.Warn("cannot tell neighbours that a floating address is here", "address", s.address, "err", err)
		}
		f.due.ring() // who else says that it has it is a problem
		return
	}
	f.mu.Lock()
	f.givenUp[s.address] = time.Now()
	delete(f.rivals, s.address)
	f.mu.Unlock()
	if err := f.leave(s, fmt.Sprintf("the machine with MAC %s has it, and: %v", mac, err)); err != nil {
		f.log.Warn("cannot give a floating address up, trying again", "err", err)
	}
	f.due.ring()
	f.published.ports.changed.ring() // it is to be read what is published here
}

// holding reports whether this host has an address.
func (f *floating) holding(a netip.Addr) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.holds[a] != nil
}

// noteRival notes who says that it has an address. False: etcd was asked a moment ago, or the address is not here.
func (f *floating) noteRival(a netip.Addr, mac store.MAC, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.holds[a] == nil || now.Sub(f.rivals[a].at) < askRest {
		return false
	}
	f.rivals[a] = rival{mac, now}
	return true
}
