package hostagent

import (
	"context"
	"log/slog"

	"sluice/datapath/ovsdb"
	"sluice/store"
)

// bridge keeps br-int: silent without controller, no hidden in-band flows, and soon back when
// a controller returns (milliseconds).
type bridge struct {
	o    Options
	dpid store.DatapathID
	db   *ovsdb.DB
	log  *slog.Logger
}

func (b bridge) is(ctx context.Context) (*ovsdb.BridgeState, error) {
	return b.db.Bridge(ctx, store.BridgeName)
}

func (b bridge) should(context.Context) (ovsdb.Bridge, error) { return bridgeFor(b.o, b.dpid), nil }

func bridgeFor(o Options, dpid store.DatapathID) ovsdb.Bridge {
	return ovsdb.Bridge{
		Name:         store.BridgeName,
		DatapathType: o.DatapathType,
		DatapathID:   dpid.String(),
		FailMode:     "secure",
		Controllers:  o.Controllers,
		Protocols:    []string{"OpenFlow13", "OpenFlow14", "OpenFlow15"},
	}
}

func (b bridge) makeSo(ctx context.Context, should ovsdb.Bridge, is *ovsdb.BridgeState) error {
	if is.Is(should) {
		return nil
	}
	changed, err := b.db.EnsureBridge(ctx, should)
	if err == nil && changed {
		b.log.Info("bridge set up", "bridge", should.Name, "dpid", b.dpid)
	}
	return err
}
