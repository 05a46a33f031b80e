package flows_test

import (
	"strings"
	"testing"

	"sluice/flows"
	"sluice/store"
)

// A publication whose network a hand edit removed has no flows, as its port has none.
func TestPublicationWithoutItsNetwork(t *testing.T) {
	l := newLab(t)
	l.put(store.NetworkKey("alice", "other"), &store.Network{Number: 70, Segmentation: store.SegmentationTunnel, Segment: 70})
	l.put(store.PortKey("h2", "alice", "other", "o"), &store.Port{Number: 50, MAC: store.MAC{2, 0, 0, 0, 0, 50}, Interface: "sl-o"})
	l.put(store.PublicationKey("alice", "tcp-80"), &store.Publication{TenantCreated: l.state.Tenant("alice").Created, Network: "default", Port: "a2",
		Protocol: store.ProtocolTCP, First: 80, On: 80, Count: 1})
	published := func() (n int) {
		sw := flows.Switch{Host: "h2", OFPort: map[string]uint32{store.TunnelInterface: tunnelPort, "sl-a2": 1, "sl-o": 2}}
		list, _ := flows.Desired(l.state, sw)
		for i := range list {
			if strings.HasPrefix(flows.Owner(l.state, list[i].Cookie), "publication") {
				n++
			}
		}
		return n
	}
	if published() == 0 {
		t.Fatal("it has no flows where its network is there")
	}
	l.put(store.NetworkKey("alice", "default"), nil)
	if n := published(); n > 0 {
		t.Errorf("it has %d flows without its network", n)
	}
}
