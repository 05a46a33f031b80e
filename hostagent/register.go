package hostagent

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/cenkalti/backoff/v5"

	"sluice/store"
	"sluice/store/etcd"
)

// register keeps the host registered. Another agent with the host's name is an error at
// first; later, when it took the name while we could not reach etcd, we wait for it to go.
func (a *Agent) register(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-a.up:
	}
	for first := true; ; first = false {
		r, err := a.registerOnce(ctx, first)
		if err != nil {
			return ignoreEnd(ctx, err)
		}
		a.setRegistration(r)
		a.log.Info("registered", "rev", r.Created)
		a.wake()
		select {
		case <-ctx.Done():
			return nil // the lease runs out by itself: a quick restart goes unnoticed
		case <-r.Lost():
		}
		a.setRegistration(nil)
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
	err := a.retry(ctx, "registration", func() error {
		var err error
		r, err = a.o.Store.RegisterHost(ctx, a.o.Host, a.host())
		if errors.Is(err, store.ErrHostTaken) && first {
			return backoff.Permanent(err)
		}
		return err
	})
	return r, err
}

// host is what the cluster knows of this host.
func (a *Agent) host() store.Host {
	a.mu.Lock()
	defer a.mu.Unlock()
	return store.Host{
		Incarnation: a.id.incarnation, DatapathID: a.id.datapath, VTEPs: []netip.Addr{a.o.VTEP},
		Uplink: a.o.Uplink, Gateway: a.o.Gateway, Encap: a.o.Encap, UnderlayMTU: a.underlay.mtu,
		Infrastructure: a.infrastructure(),
	}
}

func (a *Agent) setRegistration(r *etcd.Registration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.registration, a.clean = r, false
}

// registered is the current registration, or nil.
func (a *Agent) registered() *etcd.Registration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.registration
}
