package openflow

import (
	"encoding/hex"
	"net/netip"
	"testing"
)

// The messages are those that `ovs-ofctl ct-flush SWITCH zone=14 ct_nw_src=10.0.0.5` and the like of Open vSwitch 3.1.0 send.
func TestCTFlush(t *testing.T) {
	const zone = "00020008000e0000"
	container := netip.MustParseAddr("10.0.0.5")
	for want, c := range map[string]CTFlush{
		"0404004000000002" + "0000232000000020" + "0000000000000000" +
			"0000002000000000" + "0000001400000000000000000000ffff0a00000500000000" + zone: {Zone: 14, Source: container},
		"0404004000000002" + "0000232000000020" + "0000000000000000" +
			"0001002000000000" + "0000001400000000000000000000ffff0a00000500000000" + zone: {Zone: 14, Answers: container},
		"0404004800000002" + "0000232000000020" + "0600000000000000" +
			"0000002800000000" + "0001001400000000000000000000ffff6440000700000000" + "000300061f900000" + zone: {Zone: 14, To: netip.MustParseAddr("100.64.0.7"), Protocol: ProtoTCP, Port: 8080},
	} {
		if got := hex.EncodeToString(AppendCTFlush(nil, 2, c)); got != want {
			t.Errorf("%+v: %s, want\n%s", c, got, want)
		}
	}
}
