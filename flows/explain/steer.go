package explain

import (
	"strings"

	of "sluice/datapath/openflow"
	"sluice/flows"
	"sluice/store"
)

// probed is the host that an interface probes; empty: it probes none.
func (r *reader) probed(iface string) string {
	hash, ok := store.ProbedHash(iface)
	if !ok {
		return ""
	}
	for _, h := range r.state.HostsByHash(hash) {
		return h.Key.Host
	}
	return ""
}

// steered is to whom a frame is steered, as table steer matches it; empty: there are no words for it.
func (r *reader) steered(m of.MatchField) string {
	switch m.Mask {
	case of.U64(flows.NoneAlive):
		return "steered to " + r.gatewayHost(m.Value.Lo)
	case of.Ones(m.Field.Bits()):
		if m.Value.Lo&flows.NoneAlive == flows.NoneAlive {
			return "steered to nobody alive, but for " + r.gatewayHost(m.Value.Lo>>16)
		}
	}
	return ""
}

// gatewayHost is the gateway host behind an OpenFlow port.
func (r *reader) gatewayHost(ofport uint64) string {
	iface := r.ports[uint32(ofport)]
	switch host := r.probed(iface); {
	case iface == store.GatewayInterface:
		return "this host"
	case host != "":
		return host
	}
	return r.port(uint32(ofport))
}

// firstAlive is what a choice of ports does, where it is ours; else it stands as ovs-ofctl writes it.
func (r *reader) firstAlive(a of.BundleLoad) string {
	if a.Algorithm != of.ActiveBackup || a.Target != (of.Subfield{Field: flows.RegGateway, Bits: 16}) {
		return plainAction(a)
	}
	hosts := make([]string, len(a.Members))
	for i, ofport := range a.Members {
		hosts[i] = r.gatewayHost(uint64(ofport))
	}
	return "steer it to the first of " + strings.Join(hosts, ", ") + " that is alive"
}
