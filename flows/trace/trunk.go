package trace

import (
	of "sluice/datapath/openflow"
	"sluice/flows/simulate"
	"sluice/store"
)

// trunks are what is known of the trunk: which interface of each host leads to it, and where its switches send what.
type trunks struct {
	interfaces map[string]string  // host -> interface
	ports      map[onTrunk]string // who is where
}

// onTrunk is a port as switches of the trunk know it.
type onTrunk struct {
	vlan uint32
	mac  store.MAC
}

// trunksOf are the trunks of all hosts, with the ports of a tenant.
func trunksOf(s *store.State, tenant string) trunks {
	t := trunks{map[string]string{}, map[onTrunk]string{}}
	for h := range s.Hosts() {
		if h.Value.Trunk != "" {
			t.interfaces[h.Key.Host] = h.Value.Trunk
		}
	}
	if len(t.interfaces) == 0 {
		return t
	}
	for n := range s.NetworksOf(tenant) {
		if n.Value.Segmentation != store.SegmentationVLAN {
			continue
		}
		for p := range s.PortsOf(n.Key.NetworkName()) {
			t.ports[onTrunk{n.Value.Segment, p.Value.MAC}] = p.Key.Host
		}
	}
	return t
}

// learned is the host that the switches of the trunk send a frame to, once they have seen its destination; empty: all.
func (t trunks) learned(p *simulate.Packet) string {
	const id = 0xfff
	return t.ports[onTrunk{uint32(p.Uint(of.FieldVLANVID)) & id, store.MACFromUint64(p.Uint(of.FieldEthDst))}]
}

// is reports whether an interface of a host is its trunk.
func (t trunks) is(host, iface string) bool { return iface != "" && t.interfaces[host] == iface }
