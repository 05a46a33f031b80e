package hostagent

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"sluice/store"
	"sluice/store/etcd"
)

// nameRegistration is what Status and keepers call the host's registration.
const nameRegistration = "registration"

// registration is this host's registration in etcd, if it has one.
type registration struct {
	mu    sync.Mutex
	now   *etcd.Registration // nil while not registered
	since time.Time          // when it was made
	host  store.Host         // what the cluster was told of this host under now
	clean bool               // leftovers were removed since
}

func (r *registration) set(now *etcd.Registration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now, r.clean = now, false
	if now != nil {
		r.host, r.since = now.Host, time.Now()
	}
}

// covers reports whether the host has been registered since a time: what it read then is still the cluster's word.
func (r *registration) covers(at time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now != nil && at.After(r.since)
}

// told is what the cluster was told of this host.
func (r *registration) told() store.Host {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.host
}

// note keeps what the cluster was told under a registration, if it is still the one.
func (r *registration) note(under *etcd.Registration, told store.Host) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now == under {
		r.host = told
	}
}

// current is the registration, or nil.
func (r *registration) current() *etcd.Registration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *registration) registered() bool { return r.current() != nil }

// noteClean notes that leftovers were removed under a registration, if it is still the one.
func (r *registration) noteClean(under *etcd.Registration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clean = r.now == under
}

// ready is the registration once ports can be made: leftovers were removed. Else nil.
func (r *registration) ready() *etcd.Registration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.clean {
		return nil
	}
	return r.now
}

// register keeps the host registered. Another agent with the host's name is an error at
// first; later, when it took the name while we could not reach etcd, we wait for it to go.
func (a *Agent) register(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-a.refused:
		return err
	case <-a.mender.made:
	}
	for first := true; ; first = false {
		r, err := a.registerOnce(ctx, first)
		if err != nil {
			return ignoreEnd(ctx, err)
		}
		a.registration.set(r)
		a.log.Info("registered", "rev", r.Created)
		a.mender.wake()
		select {
		case <-ctx.Done():
			return nil // the lease runs out by itself: a quick restart goes unnoticed
		case <-r.Lost():
		}
		a.registration.set(nil)
		if errors.Is(r.Err(), store.ErrHostTaken) {
			return fmt.Errorf("%w (was the state directory %s copied?)", r.Err(), a.o.StateDir)
		}
		a.log.Warn("registration lost, registering again", "err", r.Err())
	}
}

// ignoreEnd is err, or nil where ctx ended: being told to stop is no failure.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (a *Agent) registerOnce(ctx context.Context, first bool) (*etcd.Registration, error) {
	var r *etcd.Registration
	err := a.problems.retry(ctx, nameRegistration, func() error {
		if err := a.hearFarewell(ctx); err != nil {
			return err
		}
		host, err := a.hostRecord().should(ctx)
		if err != nil {
			return err
		}
		r, err = a.o.Store.RegisterHost(ctx, a.o.Host, host)
		if first && refusedForGood(err) {
			return backoff.Permanent(err)
		}
		return err
	})
	return r, err
}

// refusedForGood reports whether the registration needs another word of the operator's.
func refusedForGood(err error) bool {
	return errors.Is(err, store.ErrHostTaken) || errors.Is(err, store.ErrTaken) || errors.Is(err, store.ErrInvalid)
}

func (a *Agent) hostRecord() hostRecord {
	return hostRecord{a.o, a.id, a.underlay, a.infrastructure, a.registration, a.problems, a.probes.wayOut, a.trunk(), a.log}
}

func (a *Agent) trunk() trunk {
	return trunk{a.o, a.underlay, a.registration, a.problems, a.trunkDue, a.mender.wake, a.db, a.log}
}

// hostFor is what the cluster knows of this host.
func hostFor(o Options, id identity, underlay vtepInterface, addresses []netip.Addr) store.Host {
	h := store.Host{
		Incarnation: id.incarnation, DatapathID: id.datapath, VTEPs: []netip.Addr{o.VTEP}, Addresses: addresses,
		Uplink: o.Uplink, Gateway: o.Gateway, Weight: o.Weight, Encap: o.Encap, UnderlayMTU: underlay.mtu,
		Infrastructure: closedPrefixes(o, underlay.prefix), Entry: o.Entry.Listen,
	}
	if o.relays() {
		h.Relay = o.Entry.RelayPort
	}
	if o.Identity != nil {
		h.Certified = o.Identity.Certificate().NotBefore.UTC()
	}
	return h
}
