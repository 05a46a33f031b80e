package flows

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// Connections are left on gateway hosts alone, by addresses that are not their port's any more.
func TestLeftConnections(t *testing.T) {
	s := store.NewState()
	at := func(key store.Key, o store.Object) store.Event {
		return store.Event{Key: key, Object: o, Created: 1, Modified: 1}
	}
	port := func(number uint32, addresses ...string) *store.Port {
		p := &store.Port{Number: number}
		for _, a := range addresses {
			p.Addresses = append(p.Addresses, netip.MustParsePrefix(a))
		}
		return p
	}
	s.Apply(store.Batch{Revision: 1, Events: []store.Event{
		{Key: store.TenantKey("alice"), Object: &store.Tenant{Number: 7}, Created: 2, Modified: 2}, at(store.NetworkKey("alice", "n"), &store.Network{Number: 8}),
		at(store.GatewayKey("alice"), &store.Gateway{Active: "h1", Draining: []string{"h2"}}),
		at(store.PortKey("h3", "alice", "n", "stays"), port(5, "10.0.0.5/24", "fd00::5/64")),
		at(store.PortKey("h3", "alice", "n", "moved"), port(6, "10.0.0.16/24")),
		at(store.PublicationKey("alice", "udp-54"), &store.Publication{TenantCreated: 2, Network: "n", Port: "away", Protocol: store.ProtocolUDP, First: 54, On: 54, Count: 1}),
		at(store.TenantKey("bob"), &store.Tenant{Number: 9}),
	}})
	way := func(tenant, number uint32, address string) of.Flow {
		a := netip.MustParseAddr(address)
		return of.Flow{Table: tableL3Resolve, Cookie: uint64(portSlice(tenant, number)), Match: match(tenantMetadata(tenant), ipType(a), ipDst(single(a)))}
	}
	elsewhere := way(7, 4, "10.0.0.4")
	elsewhere.Table = tableForward
	nobodys := way(7, 4, "10.0.0.4")
	nobodys.Cookie = 0
	published := func(on uint16) of.Flow {
		p := &store.Publication{Protocol: store.ProtocolUDP, On: on}
		return of.Flow{Table: tableNATState, Cookie: uint64(publishedSlice(7, p)), Match: match(tenantMetadata(7), etherType(typeIPv4),
			ipDst(single(netip.MustParseAddr("100.64.0.7"))), ipProto(protoUDP), of.Is(of.FieldUDPDst, uint64(on)))}
	}
	gone := Mods{Delete: []of.Flow{
		way(7, 4, "10.0.0.4"), way(7, 5, "10.0.0.5"), way(7, 5, "fd00::5"), way(7, 6, "10.0.0.6"), way(9, 4, "10.0.0.9"), way(11, 4, "10.0.0.11"), elsewhere, nobodys,
	}, Add: []of.Flow{way(7, 8, "10.0.0.8")}, Modify: []of.Flow{way(7, 8, "10.0.0.18")}}
	forget := func(addresses ...string) (list []of.CTFlush) {
		for _, a := range addresses {
			list = append(list, of.CTFlush{Zone: 14, Source: netip.MustParseAddr(a)}, of.CTFlush{Zone: 14, Answers: netip.MustParseAddr(a)})
		}
		return list
	}
	for _, tc := range []struct {
		name, host string
		mods       Mods
		want       []of.CTFlush
	}{
		{"where the gateway is", "h1", gone, forget("10.0.0.4", "10.0.0.6")},
		{"where it drains", "h2", gone, forget("10.0.0.4", "10.0.0.6")},
		{"where it is not", "h3", gone, nil},
		{"another has it at once", "h1", Mods{Replace: []of.Flow{way(7, 5, "10.0.0.5")}}, forget("10.0.0.5")},
		{"twice", "h1", Mods{Delete: []of.Flow{way(7, 4, "10.0.0.4"), way(7, 3, "10.0.0.4")}}, forget("10.0.0.4")},
		{"a publication ended, and another one is away for a while", "h1", Mods{Delete: []of.Flow{published(53), published(54)}},
			[]of.CTFlush{{Zone: 14, To: netip.MustParseAddr("100.64.0.7"), Protocol: protoUDP, Port: 53}}},
		{"nothing", "h1", Mods{}, nil},
	} {
		if diff := cmp.Diff(tc.want, LeftConnections(s, tc.host, tc.mods), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Errorf("%s: -want +got\n%s", tc.name, diff)
		}
	}
}
