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
		fmt.Sprint("numbers ", MaxTenantNumber, " ", MaxSlot, " ", MaxNetworkNumber, " ", VLANTunnelKey, " ", MaxVLAN),
		fmt.Sprint("bounds ", MinMTU, " ", MinMTUv6, " ", MaxMTU, " ", MaxSubnets, " ", UIDLength),
		fmt.Sprint("names ", BridgeName, " ", TunnelInterface, " ", GatewayInterface, " ", ResolverInterface),
		fmt.Sprint("resolver ", ResolverMAC, " ", Resolver4, " ", Resolver6),
		fmt.Sprint("desks ", Desk(1, Resolver4), " ", Desk(32767, Resolver4), " ", Desk(65535, Resolver4), " ", Desk(65536, Resolver4), " ", Desk(MaxTenantNumber, Resolver4), " ", Desk(1, Resolver6), " ", Desk(MaxTenantNumber, Resolver6)),
		fmt.Sprint("zones of 1: ", NATZone(1), " ", PolicyZone(1)),
		fmt.Sprint("default subnet ", DefaultSubnet, " of network ", DefaultNetwork),
	}
	want := `router 02:00:5e:00:01:01
hand-over 02:00:5e:00:01:02
bounce 02:00:5e:00:01:03
kernel 02:00:5e:00:01:04
transit 100.64.0.0/10 100.127.255.254
numbers 16777214 32767 16777213 16777215 4094
bounds 576 1280 9216 8 12
names br-int sluice-tun sluice-gw sluice-dns
resolver 02:00:5e:00:01:05 169.254.53.53 fd73:6c75:6963:65::53
desks 240.53.0.1 240.53.127.255 240.53.255.255 241.1.0.0 241.255.255.254 fd73:6c75:6963:65:1::1 fd73:6c75:6963:65:1:0:ff:fffe
zones of 1: 2 3
default subnet 10.0.0.0/24 of network default`
	if diff := cmp.Diff(want, strings.Join(got, "\n")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, mac := range []MAC{RouterMAC, HandOverMAC, BounceMAC, KernelMAC, ResolverMAC} {
		if !mac.IsReserved() || mac.IsMulticast() {
			t.Errorf("%s may be a port's", mac)
		}
	}
	for _, last := range []uint32{1, MaxTenantNumber} {
		if !Desks4.Contains(Desk(last, Resolver4)) && !FarDesks4.Contains(Desk(last, Resolver4)) || !Desks6.Contains(Desk(last, Resolver6)) || !resolverRange.Contains(Desk(last, Resolver6)) {
			t.Errorf("the desk of tenant %d is none of those that are kept", last)
		}
	}
}
