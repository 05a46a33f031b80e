package hostagent

import (
	"context"
	"errors"
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
	wayOut         *wayOut
	trunk          trunk
	log            *slog.Logger
}

// is what this agent told last: nobody else writes it.
func (r hostRecord) is(context.Context) (store.Host, error) { return r.registration.told(), nil }

func (r hostRecord) should(ctx context.Context) (store.Host, error) {
	addresses, err := hostAddresses()
	h := hostFor(r.o, r.id, r.underlay.known(), addresses)
	h.Switch, h.Cut = switchProcess(r.o.RunDir), r.wayOut.isCut()
	err = errors.Join(err, r.trunk.told(ctx, &h))
	if h.Gateway {
		lacks := gatewayLacks(r.o.Uplink, r.infrastructure.known().transit())
		r.problems.report("gateway", lacks)
		if lacks != nil {
			h.Gateway, h.NoGateway = false, lacks.Error()
		}
		h.ProbeOutside = r.o.ProbeOutside
		h.NotReady = r.problems.first(kernelSide...)
		var told error
		h.Listens, told = toldListening()
		err = errors.Join(err, told)
		h.Subnets, told = toldSubnets(r.o.Uplink)
		err = errors.Join(err, told)
	}
	return h, err
}

// kernelSide are the keepers of what a gateway host needs to let tenants out.
var kernelSide = []string{"gateway port", "transit interface", "forwarding", "nftables", wayOutProblem}

func (r hostRecord) makeSo(ctx context.Context, should, is store.Host) error {
	now := r.registration.current()
	if now == nil || reflect.DeepEqual(should, is) {
		return nil
	}
	if err := now.Update(ctx, should); err != nil {
		return err
	}
	r.registration.note(now, should)
	if should.Trunk != is.Trunk || should.TrunkReady != is.TrunkReady {
		r.trunk.due.ring()
	}
	r.log.Info("the cluster was told of this host", "addresses", should.Addresses, "mtu", should.UnderlayMTU)
	return nil
}
