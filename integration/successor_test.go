package integration

import (
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"sluice/integration/lab"
)

// An address that left with a container of one host, and is another's on a second host at once, is reached by those who
// spoke with the first a moment ago: their caches hold the new MAC, in networks without broadcast too.
func TestSuccessorIsReached(t *testing.T) {
	needLab(t)
	tenant(t, "heirs", "--subnet", "10.0.0.0/24", "--subnet", "fd00:9::/64")
	sluice(t, "network", "create", "heirs/quiet", "--subnet", "10.1.0.0/24", "--flood", "off")
	t.Cleanup(func() { command(t, "network", "delete", "heirs/quiet") })
	for _, tc := range []struct{ network, name, address string }{
		{"heirs", "loud", "10.0.0.77"}, {"heirs", "six", "fd00:9::77"}, {"heirs/quiet", "quiet", "10.1.0.77"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			address := netip.MustParseAddr(tc.address)
			near, far := container(t, "h1", tc.network, tc.name+"-near"), container(t, "h3", tc.network, tc.name+"-far")
			old := container(t, "h2", tc.network, tc.name+"-old", tc.address)
			wantPing(t, near, address)
			wantPing(t, far, address)
			sluice(t, "lab", "rm", old.Name)
			heir := container(t, "h3", tc.network, tc.name+"-heir", tc.address)
			if heir.MAC == old.MAC {
				t.Fatalf("both have MAC %s: the test would see nothing", old.MAC)
			}
			for _, c := range []lab.Container{near, far} {
				out, err := exec.Command("ip", "-n", c.NetNS, "neigh", "show", "to", tc.address).CombinedOutput()
				if err != nil || !strings.Contains(string(out), heir.MAC) {
					t.Errorf("%s holds %q (%v) of %s, which has MAC %s by now", c.Name, out, err, tc.address, heir.MAC)
				}
				if err := exec.Command("ip", "netns", "exec", c.NetNS, "ping", "-c1", "-W1", tc.address).Run(); err != nil {
					t.Errorf("the first packet of %s does not reach the successor: %v", c.Name, err)
				}
			}
		})
	}
}

// packets opens a UDP socket in a namespace.
func packets(t *testing.T, ns, address string) net.PacketConn {
	t.Helper()
	var c net.PacketConn
	err := lab.InNamespace(ns, func() (err error) {
		c, err = net.ListenPacket("udp", address)
		return err
	})
	if err != nil {
		t.Fatalf("UDP at %s in %s: %v", address, ns, err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// hears returns what comes to a socket within a time, and from whom; empty: nothing.
func hears(c net.PacketConn, within time.Duration) (string, net.Addr) {
	b := make([]byte, 100)
	_ = c.SetReadDeadline(time.Now().Add(within))
	n, from, err := c.ReadFrom(b)
	if err != nil {
		return "", nil
	}
	return string(b[:n]), from
}

// speaks sends a word to the world until it is heard there, and returns whom it is seen from.
func speaks(t *testing.T, c, world net.PacketConn, word string) (seenFrom net.Addr) {
	t.Helper()
	eventually(t, word+" goes out", func() error {
		if _, err := c.WriteTo([]byte(word), world.LocalAddr()); err != nil {
			return err
		}
		heard, from := hears(world, 200*time.Millisecond)
		if heard != word {
			return fmt.Errorf("the world hears %q", heard)
		}
		seenFrom = from
		return nil
	})
	return seenFrom
}

// What the world still sends to a container that went does not come to the one that has its address by now,
// on the same gateway host, in the same tenant.
func TestSuccessorHasNoConnections(t *testing.T) {
	needLab(t)
	tenant(t, "wills", "--gateway", "h1")
	world := packets(t, lab.InternetNS, netip.AddrPortFrom(lab.InternetAddress, 0).String())
	const address, port = "10.0.0.66", ":7777"
	old := container(t, "h2", "wills", "wills-old", address)
	socket := packets(t, old.NetNS, address+port)
	from := speaks(t, socket, world, "old")
	if _, err := world.WriteTo([]byte("answer"), from); err != nil {
		t.Fatal(err)
	}
	if got, _ := hears(socket, 2*time.Second); got != "answer" {
		t.Fatalf("the old one hears %q", got)
	}
	socket.Close()
	sluice(t, "lab", "rm", old.Name)

	heir := container(t, "h3", "wills", "wills-heir", address)
	socket = packets(t, heir.NetNS, address+port)
	for range 5 {
		if _, err := world.WriteTo([]byte("late"), from); err != nil {
			t.Fatal(err)
		}
		if got, _ := hears(socket, 200*time.Millisecond); got != "" {
			t.Fatalf("the successor hears %q, which was for the one before", got)
		}
	}
	from = speaks(t, socket, world, "new")
	if _, err := world.WriteTo([]byte("answer"), from); err != nil {
		t.Fatal(err)
	}
	if got, _ := hears(socket, 2*time.Second); got != "answer" {
		t.Errorf("the successor hears %q of its own answer", got)
	}
}
