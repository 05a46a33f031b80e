package store

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is on the wire and in switches of a running cluster does not change by itself.
func TestReserved(t *testing.T) {
	got := []string{
		fmt.Sprint("router ", RouterMAC), fmt.Sprint("hand-over ", HandOverMAC), fmt.Sprint("bounce ", BounceMAC), fmt.Sprint("kernel ", KernelMAC),
		fmt.Sprint("transit ", DefaultTransit, " ", DefaultTransit.Kernel()),
		fmt.Sprint("numbers ", MaxTenantNumber, " ", MaxNetworkNumber, " ", VLANTunnelKey, " ", MaxVLAN),
		fmt.Sprint("bounds ", MinMTU, " ", MinMTUv6, " ", MaxMTU, " ", MaxSubnets, " ", UIDLength),
		fmt.Sprint("names ", BridgeName, " ", TunnelInterface, " ", GatewayInterface),
		fmt.Sprint("zones of 1: ", NATZone(1), " ", PolicyZone(1)),
		fmt.Sprint("default subnet ", DefaultSubnet, " of network ", DefaultNetwork),
	}
	want := `router 02:00:5e:00:01:01
hand-over 02:00:5e:00:01:02
bounce 02:00:5e:00:01:03
kernel 02:00:5e:00:01:04
transit 100.64.0.0/10 100.127.255.254
numbers 32767 16777214 16777215 4094
bounds 576 1280 9216 8 12
names br-int sluice-tun sluice-gw
zones of 1: 2 3
default subnet 10.0.0.0/24 of network default`
	if diff := cmp.Diff(want, strings.Join(got, "\n")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, mac := range []MAC{RouterMAC, HandOverMAC, BounceMAC, KernelMAC} {
		if !mac.IsReserved() || mac.IsMulticast() {
			t.Errorf("%s may be a port's", mac)
		}
	}
}
