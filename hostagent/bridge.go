package hostagent

import (
	"context"
	"fmt"

	"sluice/datapath/ovsdb"
	"sluice/store"
)

// ensureBridge makes br-int, its tunnel port and its gateway port what they must be, and
// learns the underlay's MTU. It changes nothing that is right.
func (a *Agent) ensureBridge(ctx context.Context) error {
	found, err := findUnderlay(a.o.VTEP)
	if err != nil {
		return err
	}
	a.mu.Lock()
	a.underlay = found
	a.mu.Unlock()

	changed, err := a.db.EnsureBridge(ctx, a.bridge())
	if err != nil {
		return fmt.Errorf("bridge %s: %w", store.BridgeName, err)
	}
	if changed {
		a.log.Info("bridge set up", "bridge", store.BridgeName, "dpid", a.id.datapath)
	}
	if err := a.db.EnsurePort(ctx, store.BridgeName, a.tunnelPort()); err != nil {
		return fmt.Errorf("tunnel port %s: %w", store.TunnelInterface, err)
	}
	if err := a.ensureGatewayPort(ctx); err != nil {
		return fmt.Errorf("gateway port %s: %w", store.GatewayInterface, err)
	}
	if err := a.db.NameTables(ctx, store.BridgeName, a.o.Tables); err != nil {
		return fmt.Errorf("table names of %s: %w", store.BridgeName, err)
	}
	return nil
}

// bridge is br-int: silent without controller, no hidden in-band flows, and soon back when
// a controller returns (milliseconds).
func (a *Agent) bridge() ovsdb.Bridge {
	return ovsdb.Bridge{
		Name:         store.BridgeName,
		DatapathType: a.o.DatapathType,
		DatapathID:   a.id.datapath.String(),
		FailMode:     "secure",
		Controllers:  a.o.Controllers,
		Protocols:    []string{"OpenFlow13", "OpenFlow14", "OpenFlow15"},
	}
}

// tunnelPort is the one port for every peer and every network: flows set both.
func (a *Agent) tunnelPort() ovsdb.Interface {
	options := map[string]string{
		"remote_ip": "flow", "key": "flow", "local_ip": a.o.VTEP.String(),
	}
	switch a.o.Encap {
	case "vxlan":
		options["dst_port"] = fmt.Sprint(vxlanPort)
	case "geneve":
		options["dst_port"] = fmt.Sprint(genevePort)
	}
	if a.o.VTEP.Is6() && a.o.Encap != "gre" {
		options["csum"] = "true" // RFC 8200, 8.1: UDP over IPv6 carries a checksum
	}
	return ovsdb.Interface{Name: store.TunnelInterface, Type: a.o.Encap, Options: options}
}

func (a *Agent) ensureGatewayPort(ctx context.Context) error {
	if !a.o.Gateway {
		return a.db.DeletePort(ctx, store.BridgeName, store.GatewayInterface)
	}
	a.mu.Lock()
	mtu := a.mtu(store.SegmentationTunnel)
	a.mu.Unlock()
	return a.db.EnsurePort(ctx, store.BridgeName, ovsdb.Interface{
		Name: store.GatewayInterface, Type: "internal", MAC: store.KernelMAC.String(), MTU: mtu,
	})
}
