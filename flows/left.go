package flows

import (
	"net/netip"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// LeftConnections are the connections that a switch is to forget once mods have landed: those that containers
// opened through this gateway host, or that were opened to them, whose port does not have its address any more. Whoever has
// the address next shall not go on with them. A port whose interface is away for a while keeps its own. Those of a publication
// that ended go too: whoever goes on under the same ports is then new to the next one.
func LeftConnections(s *store.State, host string, m Mods) (list []of.CTFlush) {
	seen := map[of.CTFlush]bool{}
	for i, flows := range [][]of.Flow{m.Delete, m.Replace} {
		for _, f := range flows {
			for _, c := range leftBy(s, host, &f, i == 1) {
				if !seen[c] {
					seen[c] = true
					list = append(list, c)
				}
			}
		}
	}
	return list
}

// leftBy are the connections that a flow which goes leaves behind.
func leftBy(s *store.State, host string, f *of.Flow, replaced bool) []of.CTFlush {
	sl := Slice(f.Cookie)
	to, exact := f.Match.Get(of.FieldIPDst)
	slot := slotAt(s, host, sl.Tenant())
	if !exact || sl.Tenant() != tenantOf(f) || slot == 0 {
		return nil
	}
	address, zone := netip.AddrFrom4([4]byte{byte(to.Value.Lo >> 24), byte(to.Value.Lo >> 16), byte(to.Value.Lo >> 8), byte(to.Value.Lo)}), store.NATZone(slot)
	switch {
	case f.Table == tableL3Resolve && sl.kind() == kindPort && leavesAddress(s, sl, address, replaced):
		return []of.CTFlush{{Zone: zone, Source: address}, {Zone: zone, Answers: address}}
	case f.Table == tableNATState && sl.kind() == kindPublished && (replaced || publishedBy(s, sl) == nil):
		return []of.CTFlush{openedTo(zone, address, f.Match)}
	}
	return nil
}

// slotAt is the slot on a gateway host of the tenant that has a number, or 0. The connections of one that is not there any
// more carry its mark, which no other tenant's have.
func slotAt(s *store.State, host string, number uint32) uint32 {
	tenant := s.TenantByNumber(number)
	if tenant == nil {
		return 0
	}
	return s.Slot(host, tenant)
}

// leavesAddress reports whether the port of a slice does not have an address any more. A flow that takes the place of another
// port's is replaced: the address was that one's.
func leavesAddress(s *store.State, sl Slice, address netip.Addr, replaced bool) bool {
	p := s.PortByNumber(sl.object())
	return replaced || p == nil || !has(p.Value, address)
}

// openedTo are the connections that a published port let in.
func openedTo(zone uint16, transit netip.Addr, m of.Match) of.CTFlush {
	protocol, _ := m.Get(of.FieldIPProto)
	c := of.CTFlush{Zone: zone, To: transit, Protocol: uint8(protocol.Value.Lo)}
	for _, field := range []of.Field{of.FieldTCPDst, of.FieldUDPDst} {
		if port, there := m.Get(field); there {
			c.Port = uint16(port.Value.Lo)
		}
	}
	return c
}

func has(p *store.Port, address netip.Addr) bool {
	for _, a := range p.Addresses {
		if a.Addr() == address {
			return true
		}
	}
	return false
}
