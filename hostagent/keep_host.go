package hostagent

import (
	"context"
	"log/slog"
	"reflect"

	"sluice/store"
)

// hostRecord keeps what the cluster knows of this host: other hosts close its addresses to their
// tenants.
type hostRecord struct {
	o              Options
	id             identity
	underlay       *underlay
	infrastructure *infrastructure
	registration   *registration
	problems       *problems
	log            *slog.Logger
}

// is what this agent told last: nobody else writes it.
func (r hostRecord) is(context.Context) (store.Host, error) { return r.registration.told(), nil }

func (r hostRecord) should(context.Context) (store.Host, error) {
	addresses, err := hostAddresses()
	h := hostFor(r.o, r.id, r.underlay.known(), addresses)
	if h.Gateway {
		lacks := gatewayLacks(r.o.Uplink, r.infrastructure.known().transit())
		r.problems.report("gateway", lacks)
		if lacks != nil {
			h.Gateway, h.NoGateway = false, lacks.Error()
		}
	}
	return h, err
}

func (r hostRecord) makeSo(ctx context.Context, should, is store.Host) error {
	now := r.registration.current()
	if now == nil || reflect.DeepEqual(should, is) {
		return nil
	}
	if err := now.Update(ctx, should); err != nil {
		return err
	}
	r.registration.note(now, should)
	r.log.Info("the cluster was told of this host's addresses", "addresses", should.Addresses, "mtu", should.UnderlayMTU)
	return nil
}
