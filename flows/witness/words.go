package witness

import (
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"

	of "sluice/datapath/openflow"
	"sluice/flows/simulate"
	"sluice/store"
)

// words are the values that frames of this cluster speak of.
type words struct {
	macs       []store.MAC
	v4, v6     []netip.Addr // of ports and routers
	far4       []netip.Addr // the outside, tunnels, infrastructure, transit
	far6       []netip.Addr
	everywhere []Sender // every container
	vlans      []uint16
}

// outside is a host of the internet.
var (
	outside4 = netip.MustParseAddr("203.0.113.1")
	outside6 = netip.MustParseAddr("2001:db8::1")
	stranger = [...]netip.Addr{netip.MustParseAddr("203.0.113.99"), netip.MustParseAddr("2001:db8::99")}
)

func newWords(c *Cluster) *words {
	w := &words{}
	for _, h := range c.hosts {
		w.everywhere = append(w.everywhere, h.containers...)
		w.addHost(c.state.Host(h.name).Value)
	}
	for _, s := range w.everywhere {
		for _, sp := range speakers(s.Container.Value) {
			w.macs = append(w.macs, sp.mac)
			for _, p := range sp.prefixes {
				w.add(p.Addr())
			}
		}
	}
	for t := range c.state.Tenants() {
		for _, h := range c.hosts {
			if slot := c.state.Slot(h.name, t); slot != 0 {
				w.far4 = append(w.far4, c.state.Transit().Address(slot))
			}
		}
		for n := range c.state.NetworksOf(t.Key.Tenant) {
			for _, subnet := range n.Value.Subnets {
				w.add(subnet.Gateway)
			}
			if n.Value.Segmentation == store.SegmentationVLAN {
				w.vlans = append(w.vlans, uint16(n.Value.Segment))
			}
		}
	}
	w.far4 = append(w.far4, outside4, c.state.Transit().Kernel(), netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("169.254.169.254"),
		netip.MustParseAddr("224.0.0.9"), netip.MustParseAddr("255.255.255.255"), netip.MustParseAddr("0.1.2.3"), store.Resolver4)
	w.far6 = append(w.far6, outside6, netip.MustParseAddr("ff02::1"), store.Resolver6)
	w.tidy()
	return w
}

func (w *words) addHost(h *store.Host) {
	for _, vtep := range h.VTEPs {
		w.far4, w.far6 = appendFamily(w.far4, w.far6, vtep)
	}
	for _, p := range h.Infrastructure {
		w.far4, w.far6 = appendFamily(w.far4, w.far6, p.Masked().Addr().Next())
	}
}

func (w *words) add(a netip.Addr) { w.v4, w.v6 = appendFamily(w.v4, w.v6, a) }

func appendFamily(v4, v6 []netip.Addr, a netip.Addr) (all4, all6 []netip.Addr) {
	if a.Is4() {
		return append(v4, a), v6
	}
	return v4, append(v6, a)
}

func (w *words) tidy() {
	for _, list := range []*[]netip.Addr{&w.v4, &w.v6, &w.far4, &w.far6} {
		slices.SortFunc(*list, netip.Addr.Compare)
		*list = slices.Compact(*list)
	}
	slices.SortFunc(w.macs, func(a, b store.MAC) int { return int(a.Uint64()) - int(b.Uint64()) })
	w.macs = slices.Compact(w.macs)
	slices.Sort(w.vlans)
	w.vlans = slices.Compact(w.vlans)
}

// dice draws what a search leaves open. The same seed draws the same.
type dice struct{ *rand.Rand }

// often reports true that many times of a hundred.
func (d dice) often(percent int) bool { return d.IntN(100) < percent }

func pick[T any](d dice, from []T) T {
	if len(from) == 0 {
		var none T
		return none
	}
	return from[d.IntN(len(from))]
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// mac is one that a frame may go to or pretend to come from.
func (w *words) mac(d dice) store.MAC {
	switch n := d.IntN(100); {
	case n < 45:
		return pick(d, w.macs)
	case n < 80:
		return store.RouterMAC
	case n < 90:
		return simulate.Broadcast
	case n < 93:
		return store.MAC{1, 0, 0x5e, 0, 0, 9}
	case n < 95:
		return store.MAC{0x33, 0x33, 0, 0, 0, 1}
	}
	return pick(d, []store.MAC{store.HandOverMAC, store.BounceMAC, store.KernelMAC, {2, 9, 9, 9, 9, 9}})
}

// address is one of a family that a frame may go to or pretend to come from.
func (w *words) address(d dice, v6 bool) netip.Addr {
	near, far := w.v4, w.far4
	if v6 {
		near, far = w.v6, w.far6
	}
	if len(near) > 0 && d.often(60) {
		return pick(d, near)
	}
	return pick(d, far)
}

// address is a field's value as an address.
func address(v of.Value, v6 bool) netip.Addr {
	var b [16]byte
	for i := range 8 {
		b[i], b[8+i] = byte(v.Hi>>(56-8*i)), byte(v.Lo>>(56-8*i))
	}
	if v6 {
		return netip.AddrFrom16(b)
	}
	return netip.AddrFrom4([4]byte(b[12:]))
}
