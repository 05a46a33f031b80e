package witness

import (
	"fmt"

	of "sluice/datapath/openflow"
	"sluice/flows/simulate"
	"sluice/store"
)

const portDNS = 53

// wrongQuestion is of a frame that a resolver got.
func (c *Cluster) wrongQuestion(from Sender, forbidden string, d *simulate.Delivery) string {
	p := &d.Packet
	where := "reaches the resolver of host " + d.Host
	if from.Resolver && d.Host == from.Host && p.Uint(of.FieldEthType) == typeARP {
		return "" // the switch's own answer
	}
	t := c.state.Tenant(from.Tenant)
	switch {
	case from.Container == nil || t == nil:
		return where
	case d.Host != from.Host:
		return where + ", which is not its sender's"
	case len(p.Tags()) > 0:
		return where + " with a tag"
	case !isQuestion(p):
		return where + ", and is no question for names"
	case c.deskOf(p, of.FieldIPDst, of.FieldIPv6Dst) != from.Tenant:
		return where + ", and not at its tenant's desk"
	case forbidden != "":
		return where + ", though " + forbidden
	case !owns(from.Container.Value, source(p)):
		return where + fmt.Sprintf(" from address %s, which is not the sender's", source(p))
	}
	return ""
}

// isQuestion reports whether a packet may be a question for names: UDP or TCP to port 53.
func isQuestion(p *simulate.Packet) bool {
	switch p.Uint(of.FieldIPProto) {
	case protoUDP:
		return p.Uint(of.FieldUDPDst) == portDNS
	case protoTCP:
		return p.Uint(of.FieldTCPDst) == portDNS
	}
	return false
}

// deskOf is the tenant at whose desk an IP packet's address is; "": it is at none.
func (c *Cluster) deskOf(p *simulate.Packet, v4, v6 of.Field) string {
	f := v4
	switch p.Uint(of.FieldEthType) {
	case typeIPv4:
	case typeIPv6:
		f = v6
	default:
		return ""
	}
	number, _ := store.DeskNumber(address(p.Get(f), f == v6))
	if t := c.state.TenantByNumber(number); t != nil && number != 0 {
		return t.Key.Tenant
	}
	return ""
}
