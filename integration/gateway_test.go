package integration

import (
	"errors"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"sluice/integration/lab"
)

// addressIn gives a namespace an address on an interface, until the test ends.
func addressIn(t *testing.T, ns, address, dev string) netip.Addr {
	t.Helper()
	ip(t, "-n", ns, "address", "add", address, "dev", dev)
	t.Cleanup(func() { exec.Command("ip", "-n", ns, "address", "del", address, "dev", dev).Run() })
	return netip.MustParsePrefix(address).Addr()
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// A host's management address, on which it trusts the other hosts, is closed to tenants at every
// gateway: they would come there under a host's own address. It is one that the host was given
// while it ran, and that no other host was told of by its operator.
func TestOtherHostsAreClosed(t *testing.T) {
	needLab(t)
	tenant(t, "nosy", "--gateway", "h1")
	c := container(t, "h3", "nosy", "nosy-1")
	management := addressIn(t, "sluice-h2", "192.168.77.2/32", "br-phy")
	elsewhere := addressIn(t, lab.InternetNS, "192.168.78.2/32", "lo")
	ip(t, "-n", "sluice-h1", "route", "replace", management.String(), "via", "172.30.0.2")
	t.Cleanup(func() { exec.Command("ip", "-n", "sluice-h1", "route", "del", management.String()).Run() })

	wantPing(t, c, elsewhere)                             // what is like it but no host's
	inHost(t, "h1", "ping", "-c1", "-W5", "192.168.77.2") // its neighbour reaches it
	eventually(t, "h1 closes h2's new address", func() error {
		if set := inHost(t, "h1", "nft", "list", "set", "inet", "sluice", "machines"); !strings.Contains(set, management.String()) {
			return errors.New(set)
		}
		return nil
	})
	wantNoPing(t, c, management)
	wantPing(t, c, elsewhere)
}

// A gateway host forwards between tenants and its uplink, and does not become a router between
// its own interfaces by that: a neighbour on another one reaches nothing through it.
func TestGatewayHostIsNoRouter(t *testing.T) {
	needLab(t)
	inHost(t, "h1", "sysctl", "-qw", "net.ipv4.ip_forward=0")
	inHost(t, "h1", "sysctl", "-qw", "net.ipv4.conf.br-phy.forwarding=1", "net.ipv4.conf.sluice-gw.forwarding=1")
	const neighbour = "sluice-neighbour"
	ip(t, "netns", "add", neighbour)
	t.Cleanup(func() { exec.Command("ip", "netns", "del", neighbour).Run() })
	ip(t, "-n", "sluice-h1", "link", "add", "other0", "type", "veth", "peer", "name", "eth0", "netns", neighbour)
	ip(t, "-n", "sluice-h1", "address", "add", "10.99.0.1/24", "dev", "other0")
	ip(t, "-n", "sluice-h1", "link", "set", "other0", "up")
	ip(t, "-n", neighbour, "address", "add", "10.99.0.2/24", "dev", "eth0")
	ip(t, "-n", neighbour, "link", "set", "eth0", "up")
	ip(t, "-n", neighbour, "route", "add", "default", "via", "10.99.0.1")
	ip(t, "-n", lab.InternetNS, "route", "add", "10.99.0.0/24", "via", "172.30.0.1")
	t.Cleanup(func() { exec.Command("ip", "-n", lab.InternetNS, "route", "del", "10.99.0.0/24").Run() })
	tenant(t, "routed", "--gateway", "h1")
	c := container(t, "h1", "routed", "routed-1")

	eventually(t, "h1 reaches its neighbour", func() error { return pings("sluice-h1", "10.99.0.2") })
	wantPing(t, c, lab.InternetAddress)
	wantNoPing(t, c, netip.MustParseAddr("10.99.0.2"))
	for _, way := range []struct{ from, to string }{
		{neighbour, "172.30.0.254"}, {neighbour, lab.InternetAddress.String()}, {lab.InternetNS, "10.99.0.2"},
	} {
		if pings(way.from, way.to) == nil {
			t.Errorf("%s reaches %s through the gateway host h1", way.from, way.to)
		}
	}
}

func pings(ns, to string) error {
	return exec.Command("ip", "netns", "exec", ns, "ping", "-c2", "-i0.2", "-W1", to).Run()
}
