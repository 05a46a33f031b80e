package hostagent

import (
	"net/netip"
	"strings"
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

func TestUnderlay(t *testing.T) {
	vtep := netip.MustParseAddr("192.0.2.21")
	u := &underlay{vtep: vtep, encap: "geneve"}
	tunnel, smaller := &store.Network{Segmentation: store.SegmentationTunnel}, &store.Network{Segmentation: store.SegmentationTunnel, MTU: 1400}
	larger := &store.Network{Segmentation: store.SegmentationVLAN, MTU: 1500}
	if mtu := u.containerMTU(store.SegmentationTunnel); mtu != 0 {
		t.Errorf("the MTU is %d before the underlay is known, want 0", mtu)
	}
	if err := u.makeSo(t.Context(), vtep, vtepInterface{}); err == nil || !strings.Contains(err.Error(), "192.0.2.21") {
		t.Errorf("without an interface: %v; want a problem that names the address", err)
	}
	found := vtepInterface{mtu: 1500, prefix: netip.MustParsePrefix("192.0.2.21/24")}
	if err := u.makeSo(t.Context(), vtep, found); err != nil {
		t.Error(err)
	}
	if err := u.makeSo(t.Context(), vtep, vtepInterface{}); err == nil || u.known() != found {
		t.Errorf("after the address went: %v, known is %+v; want a problem, and what was known last", err, u.known())
	}
	for n, want := range map[*store.Network]int{tunnel: 1450, smaller: 1400, larger: 1446} {
		if got := u.networkMTU(n); got != want {
			t.Errorf("network %+v: MTU %d, want %d", n, got, want)
		}
	}
}
