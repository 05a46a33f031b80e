package flows

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"regexp"
	"testing"

	"sluice/store"
)

// A tenant whose conntrack zone is full opens no more connections: Open vSwitch passes their packets
// on untranslated, and they are refused with a reason of their own. Connections that are known pass.
func TestOVSZoneIsFull(t *testing.T) {
	o := newTracer(t)
	o.load(t, "two-tenants")
	const limit = 3
	o.AppCtl("dpctl/ct-set-limits", fmt.Sprintf("zone=%d,limit=%d", store.NATZone(7), limit))
	t.Cleanup(func() { o.AppCtl("dpctl/ct-del-limits", fmt.Sprintf("zone=%d", store.NATZone(7))) })
	container, internet := netip.MustParseAddr("10.0.0.11"), netip.MustParseAddr("203.0.113.1")
	open := func(port uint16) {
		d := datagram{store.MAC{2, 0, 0, 0, 0, 0x11}, container, internet, port, 53}
		o.AppCtl("netdev-dummy/receive", "p1", hex.EncodeToString(d.whole()))
		for range 2 { // commands and frames take turns
			o.AppCtl("version")
		}
	}
	for _, port := range []uint16{1001, 1002, 1003, 1004, 1005, 1001} {
		open(port)
	}
	o.AppCtl("revalidator/purge") // writes the counters
	dump := reordered(o.OFCtl("dump-flows", "br0", "--no-names"))
	for what, met := range map[string]string{
		"translated":          `n_packets=4, .*table=100,.*actions=output:200`,
		"refused":             fmt.Sprintf(`n_packets=2, .*table=%d,.*reg3=%#x,metadata=0x7`, tableDrop, uint64(reasonConnectionLimit)),
		"refused for nothing": fmt.Sprintf(`n_packets=0, .*table=%d,.*reg3=%#x,metadata=0x7`, tableDrop, uint64(reasonNoConnection)),
	} {
		if !regexp.MustCompile(met).MatchString(dump) {
			t.Errorf("%s: nothing met %s:\n%s", what, met, dump)
		}
	}
}

// What a tenant's ports broadcast beyond its limit is dropped by its meter, which counts it; what
// they send to one port, and other tenants' broadcasts, pass.
func TestOVSBroadcastsAreLimited(t *testing.T) {
	o := newTracer(t)
	o.load(t, "two-tenants")
	const frames = 20
	alices, bobs := uint32(7)<<meterKindBits|meterBroadcasts, uint32(9)<<meterKindBits|meterBroadcasts
	o.OFCtl("mod-meter", "br0", fmt.Sprintf("meter=%d,pktps,burst,stats,bands=type=drop,rate=1,burst_size=1", alices))
	container := netip.MustParseAddr("10.0.0.11")
	for _, port := range []string{"p1", "p2"} {
		d := datagram{store.MAC{2, 0, 0, 0, 0, 0x11}, container, netip.MustParseAddr("10.0.0.255"), 1000, 53}
		frame := d.whole()
		copy(frame, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
		for range frames {
			o.AppCtl("netdev-dummy/receive", port, hex.EncodeToString(frame))
		}
	}
	for range 2 { // commands and frames take turns
		o.AppCtl("version")
	}
	for meter, passes := range map[uint32]bool{alices: false, bobs: true} {
		stats := o.OFCtl("meter-stats", "br0", fmt.Sprintf("meter=%d", meter))
		in := regexp.MustCompile(`packet_in_count:(\d+)`).FindStringSubmatch(stats)
		dropped := regexp.MustCompile(`0: packet_count:(\d+)`).FindStringSubmatch(stats)
		if in == nil || in[1] != fmt.Sprint(frames) || dropped == nil || (dropped[1] == "0") != passes {
			t.Errorf("meter %d counts\n%s", meter, stats)
		}
	}
}

// whole is the datagram in one frame, without payload and checksum.
func (d datagram) whole() []byte {
	udp := binary.BigEndian.AppendUint16(nil, d.fromPort)
	udp = binary.BigEndian.AppendUint16(udp, d.toPort)
	return d.fragment(0, append(udp, 0, 8, 0, 0))
}
