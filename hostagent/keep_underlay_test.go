package hostagent

import (
	"net/netip"
	"testing"

	"sluice/store"
)

func TestContainerMTU(t *testing.T) {
	v4, v6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	for _, c := range []struct {
		underlay int
		encap    string
		vtep     netip.Addr
		segment  store.Segmentation
		want     int
	}{
		{1500, "gre", v4, store.SegmentationTunnel, 1458},
		{1500, "vxlan", v4, store.SegmentationTunnel, 1450},
		{1500, "geneve", v4, store.SegmentationTunnel, 1450},
		{1500, "gre", v4, store.SegmentationVLAN, 1454},
		{1500, "vxlan", v4, store.SegmentationVLAN, 1446},
		{1500, "geneve", v4, store.SegmentationVLAN, 1446},
		{9000, "geneve", v4, store.SegmentationTunnel, 8950},
		{1500, "gre", v6, store.SegmentationTunnel, 1438},
		{1500, "vxlan", v6, store.SegmentationVLAN, 1426},
	} {
		got := containerMTU(c.underlay, c.encap, c.vtep, c.segment)
		if got != c.want {
			t.Errorf("underlay %d, %s to %s, %s: MTU %d, want %d", c.underlay, c.encap, c.vtep, c.segment, got, c.want)
		}
	}
}
