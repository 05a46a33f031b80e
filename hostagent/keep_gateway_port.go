package hostagent

import (
	"context"

	"sluice/datapath/ovsdb"
	"sluice/store"
)

// gatewayPort keeps the bridge's port towards the host's kernel, through which tenants'
// egress leaves: on a gateway host there is one, elsewhere none.
type gatewayPort struct {
	o        Options
	underlay *underlay
	db       *ovsdb.DB
}

func (p gatewayPort) is(ctx context.Context) (*ovsdb.Port, error) {
	return p.db.Port(ctx, store.BridgeName, store.GatewayInterface)
}

func (p gatewayPort) should(context.Context) (*ovsdb.Interface, error) {
	return gatewayPortFor(p.o.Gateway, p.underlay.containerMTU(store.SegmentationTunnel)), nil
}

// gatewayPortFor is nil where there is to be none. mtu is in bytes.
func gatewayPortFor(gateway bool, mtu int) *ovsdb.Interface {
	if !gateway {
		return nil
	}
	return &ovsdb.Interface{
		Name: store.GatewayInterface, Type: "internal", MAC: store.KernelMAC.String(), MTU: mtu,
	}
}

func (p gatewayPort) makeSo(ctx context.Context, should *ovsdb.Interface, is *ovsdb.Port) error {
	switch {
	case should == nil && is == nil:
		return nil
	case should == nil:
		return p.db.DeletePort(ctx, store.BridgeName, store.GatewayInterface)
	case is.Is(*should):
		return nil
	}
	return p.db.EnsurePort(ctx, store.BridgeName, *should)
}
