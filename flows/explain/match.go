package explain

import (
	"fmt"
	"strings"

	of "sluice/datapath/openflow"
	"sluice/flows"
	"sluice/store"
)

// takes are the fields of a match in words, then those that have none, as ovs-ofctl writes them.
func (r *reader) takes(f *of.Flow) (words []string) {
	rest := of.Flow{Unknown: f.Unknown}
	network := networkOf(f.Match)
	for _, m := range f.Match {
		if text := r.field(m, network); text != "" {
			words = append(words, text)
		} else {
			rest.Match = append(rest.Match, m)
		}
	}
	if text := rest.MatchText(); text != "" {
		words = append(words, text)
	}
	return words
}

// networkOf is the network's number that a match of the whole metadata names; 0: it names none.
func networkOf(m of.Match) uint32 {
	f, ok := m.Get(of.FieldMetadata)
	if !ok || f.Mask != of.Ones(of.FieldMetadata.Bits()) {
		return 0
	}
	_, network := flows.MetadataOf(f.Value.Lo)
	return network
}

// tenantMask is the half of metadata that names the tenant.
const tenantMask = 0xffffffff << 32

// field is one field of a match in words; empty: there are none for it. Under a mask a field says
// less than its words would.
func (r *reader) field(m of.MatchField, network uint32) string {
	if m.Field == of.FieldMetadata && m.Mask == of.U64(tenantMask) {
		return flows.Carried(r.state, everyone, m.Field, m.Value)
	}
	if m.Field == flows.RegGateway {
		return r.steered(m)
	}
	if m.Mask != of.Ones(m.Field.Bits()) {
		return ""
	}
	switch m.Field {
	case of.FieldInPort:
		return "from " + r.port(uint32(m.Value.Lo))
	case of.FieldTunSrc, of.FieldTunIPv6Src:
		return "by tunnel from " + r.hostAt(m.Field, m.Value)
	case of.FieldEthSrc:
		return r.mac("from", m.Value.Lo, network)
	case of.FieldEthDst:
		return r.mac("to", m.Value.Lo, network)
	case flows.RegReason:
		return "refused as " + reasonName(m.Value.Lo)
	case of.FieldTunDst, of.FieldTunIPv6Dst:
		return "on its way by tunnel to " + r.hostAt(m.Field, m.Value)
	}
	return flows.Carried(r.state, everyone, m.Field, m.Value)
}

// hostAt is the host that has a tunnel address, and the address.
func (r *reader) hostAt(f of.Field, v of.Value) string {
	a := v.IP(f == of.FieldTunIPv6Src || f == of.FieldTunIPv6Dst)
	if h := r.state.HostByVTEP(a); h != nil {
		return fmt.Sprintf("%s (%s)", h.Key.Host, a)
	}
	return a.String() + ", which no host has"
}

// port is who is behind an OpenFlow port.
func (r *reader) port(number uint32) string {
	iface := r.ports[number]
	switch p := r.state.PortByInterface(r.host, iface); {
	case iface == store.TunnelInterface:
		return "the tunnel port"
	case iface == store.GatewayInterface:
		return "the gateway port"
	case iface == store.ResolverInterface:
		return "the resolver's port"
	case r.isTrunk(iface):
		return "trunk " + iface
	case r.probed(iface) != "":
		return "the probe port of " + r.probed(iface)
	case iface == "":
		return "OpenFlow port " + portText(number) + ", which no interface has"
	case p == nil:
		return fmt.Sprintf("interface %s, which is no port's", iface)
	default:
		return "port " + p.Key.NetworkName().String() + "/" + p.Key.Name
	}
}

// isTrunk reports whether an interface is the trunk of the host.
func (r *reader) isTrunk(iface string) bool {
	h := r.state.Host(r.host)
	return h != nil && iface != "" && h.Value.Trunk == iface
}

// portText is a port's number, or the name of a reserved one.
func portText(number uint32) string {
	return strings.TrimPrefix(string(of.AppendActionsText(nil, []of.Action{of.Output{Port: number}})), "output:")
}

// mac is whose address a frame comes from or goes to, with the address; empty: nobody's that is known.
func (r *reader) mac(which string, v uint64, network uint32) string {
	mac := store.MACFromUint64(v)
	switch mac {
	case store.RouterMAC:
		return which + " the router"
	case store.KernelMAC:
		return which + " the gateway's kernel"
	case store.PublishedMAC:
		return which + " the outside, to a published port"
	case store.ResolverMAC:
		return which + " the resolver"
	case store.HandOverMAC:
		return which + " a gateway host that may know the connection"
	case store.BounceMAC:
		return which + " the active gateway host, since no other knows the connection"
	}
	n := r.state.NetworkByNumber(network)
	if n == nil {
		return ""
	}
	if p := r.state.PortByMAC(n.Key.NetworkName(), mac); p != nil {
		return fmt.Sprintf("%s %s of port %s", which, mac, p.Key.Name)
	}
	return ""
}

// reasonName is the reason of a refusal by its number.
func reasonName(n uint64) string {
	if all := flows.Reasons(); n >= 1 && n <= uint64(len(all)) {
		return all[n-1].Name
	}
	return fmt.Sprintf("reason %d, which is none of ours", n)
}
