package hostagent

import (
	"context"
	"fmt"

	"sluice/datapath/ovsdb"
	"sluice/store"
)

// UDP ports of the tunnels (RFC 7348, 4; RFC 8926, 3.3).
const (
	vxlanPort  = 4789
	genevePort = 6081
)

// tunnelPort keeps the bridge's one port for every peer and every network: flows set both.
type tunnelPort struct {
	o  Options
	db *ovsdb.DB
}

func (p tunnelPort) is(ctx context.Context) (*ovsdb.Port, error) {
	return p.db.Port(ctx, store.BridgeName, store.TunnelInterface)
}

func (p tunnelPort) should(context.Context) (ovsdb.Interface, error) { return tunnelPortFor(p.o), nil }

func tunnelPortFor(o Options) ovsdb.Interface {
	options := map[string]string{
		"remote_ip": "flow", "key": "flow", "local_ip": o.VTEP.String(),
	}
	switch o.Encap {
	case "vxlan":
		options["dst_port"] = fmt.Sprint(vxlanPort)
	case "geneve":
		options["dst_port"] = fmt.Sprint(genevePort)
	}
	if o.VTEP.Is6() && o.Encap != "gre" {
		options["csum"] = "true" // RFC 8200, 8.1: UDP over IPv6 carries a checksum
	}
	return ovsdb.Interface{Name: store.TunnelInterface, Type: o.Encap, Options: options}
}

func (p tunnelPort) makeSo(ctx context.Context, should ovsdb.Interface, is *ovsdb.Port) error {
	if is.Is(should) {
		return nil
	}
	return p.db.EnsurePort(ctx, store.BridgeName, should)
}
