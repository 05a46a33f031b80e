package worlds

import (
	"fmt"
	"math/rand/v2"
	"net/netip"

	"sluice/store"
)

// peer gives each tenant one more network, whose addresses are nobody else's, and has tenants agree on peerings: as a
// rule each with the next, so that three make a chain. Some only offer one, name networks, or mean an
// earlier tenant. Its choices are its own, so that all else of a seed is as it was before.
func (w *World) peer() {
	own := rand.New(rand.NewPCG(w.Seed, 3))
	for i, tenant := range w.Tenants {
		n := &store.Network{Number: uint32(0x100*(i+1) + 0x80), Segmentation: store.SegmentationTunnel, Flood: store.FloodAuto, Subnets: []store.Subnet{
			{Prefix: netip.MustParsePrefix(fmt.Sprintf("10.%d.0.0/24", 101+i)), Gateway: Addr("10.%d.0.1", 101+i)}}}
		n.Segment = n.Number
		if own.IntN(2) == 0 {
			w.VLANs++
			n.Segmentation, n.Segment = store.SegmentationVLAN, w.VLANs
		}
		if own.IntN(2) == 0 {
			n.Subnets = append(n.Subnets, store.Subnet{Prefix: netip.MustParsePrefix(fmt.Sprintf("fd01:%d::/64", i)), Gateway: Addr("fd01:%d::1", i)})
		}
		w.Put(store.NetworkKey(tenant, "own"), n)
		for k := range 1 + own.IntN(2) {
			at := w.newPort(w.Hosts[own.IntN(len(w.Hosts))], tenant, "own", n, k)
			w.Ports = append(w.Ports, at)
		}
	}
	for i, tenant := range w.Tenants[1:] {
		w.agree(own, w.Tenants[i], tenant)
	}
}

// agree has two tenants say that they would be peered.
func (w *World) agree(own *rand.Rand, one, other string) {
	word := func(tenant, peer string) {
		p := &store.Peering{TenantCreated: w.State.Tenant(tenant).Created, PeerCreated: w.State.Tenant(peer).Created}
		switch own.IntN(8) {
		case 0:
			return
		case 1:
			p.PeerCreated--
		case 2, 3:
			p.Networks = []string{"own"}
		case 4:
			p.PeerNetworks = []string{"own", "n0"}
		}
		w.Put(store.PeeringKey(tenant, peer), p)
		w.Spoilt[store.PeeringKey(tenant, peer)] = true // networks whose addresses both have do not reach each other
	}
	word(one, other)
	word(other, one)
}
