package lab

import (
	"context"
	"fmt"
)

// Linux's bridge asks the firewall about bridged frames where br_netfilter is loaded; the
// underlay is a wire and must not.
var underlaySysctls = map[string]string{
	"net/bridge/bridge-nf-call-iptables":  "0",
	"net/bridge/bridge-nf-call-ip6tables": "0",
	"net/bridge/bridge-nf-call-arptables": "0",
	"net/ipv6/conf/all/disable_ipv6":      "1",
	"net/ipv6/conf/default/disable_ipv6":  "1",
}

// A host's NIC belongs to its bridge; the kernel, which sees the NIC's frames besides, must
// not answer ARP there for the address on the bridge.
var hostSysctls = map[string]string{
	"net/ipv4/conf/all/arp_ignore":       "1",
	"net/ipv4/conf/default/arp_ignore":   "1",
	"net/ipv6/conf/default/disable_ipv6": "1",
}

func ensureUnderlay(ctx context.Context) error {
	if nsExists(UnderlayNS) {
		return nil
	}
	if err := addNS(ctx, UnderlayNS); err != nil {
		return err
	}
	if err := setSysctls(UnderlayNS, underlaySysctls); err != nil {
		return err
	}
	return ipBatch(ctx, UnderlayNS,
		"link add "+underlayBridge+" type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
		"link set "+underlayBridge+" up")
}

// ensureWired makes a namespace with a NIC in the underlay, or leaves the one that is there.
// It says whether it made it.
func ensureWired(ctx context.Context, ns, wire, mac string) (made bool, err error) {
	if nsExists(ns) {
		return false, nil
	}
	if err := addNS(ctx, ns); err != nil {
		return false, err
	}
	if err := plug(ctx, ns, wire, mac); err != nil {
		return false, fmt.Errorf("connect %s to the underlay: %w", ns, err)
	}
	return true, nil
}

// plug connects a namespace's NIC with a port of the underlay's bridge. The NIC computes
// checksums itself: who reads frames from a socket, as the userspace datapath does, would
// get them unfinished. Its MAC is given, so that a machine made anew is found by neighbours
// that knew the old one.
func plug(ctx context.Context, ns, wire, mac string) error {
	// Left over where the namespace was removed by hand and a process still holds it.
	_ = ipBatch(ctx, UnderlayNS, "link delete "+wire)
	err := ipBatch(ctx, UnderlayNS,
		fmt.Sprintf("link add %s type veth peer name %s address %s netns %s", wire, nic, mac, ns),
		fmt.Sprintf("link set %s master %s", wire, underlayBridge),
		fmt.Sprintf("link set %s up", wire))
	if err != nil {
		return err
	}
	if _, err := run(ctx, "ip", "netns", "exec", ns, "ethtool", "-K", nic, "tx", "off"); err != nil {
		return err
	}
	return ipBatch(ctx, ns, "link set "+nic+" up")
}

// ensureInternet makes the router that the hosts know as their way out, and the one address
// behind it.
func ensureInternet(ctx context.Context) error {
	made, err := ensureWired(ctx, InternetNS, "inet", underlayMAC(RouterAddress))
	if err != nil || !made {
		return err
	}
	return ipBatch(ctx, InternetNS,
		fmt.Sprintf("address add %s/%d dev %s", RouterAddress, Underlay.Bits(), nic),
		fmt.Sprintf("address add %s/32 dev lo", InternetAddress))
}
