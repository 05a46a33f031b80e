package hostagent

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"sluice/store"
)

// A host is not its own rival, though its other uplink in the segment says that it has the address, and answers for it.
func TestOwnUplinkIsNoRival(t *testing.T) {
	g := newGatewayHost(t)
	g.outside.run("ip", "link", "add", "segment", "type", "bridge")
	g.outside.run("ip", "link", "set", "segment", "up")
	g.run("ip", "link", "add", "under2", "type", "veth", "peer", "name", "peer2", "netns", g.outside.netns())
	t.Cleanup(func() { g.run("ip", "link", "del", "under2") })
	for _, end := range []string{"peer", "peer2"} {
		g.outside.run("ip", "link", "set", end, "up", "master", "segment")
	}
	g.run("ip", "link", "set", "under2", "up")
	other, err := netlink.LinkByName("under2")
	if err != nil {
		t.Fatal(err)
	}
	at := spot{floatA, other.Attrs().Index}
	if err := at.put(); err != nil {
		t.Fatal(err)
	}
	link, err := netlink.LinkByName("under0")
	if err != nil {
		t.Fatal(err)
	}
	asked := spot{floatA, link.Attrs().Index}
	file, err := arpSocket(asked.link)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	heard := make(chan store.MAC, 100)
	go func() {
		for b := make([]byte, 128); ; {
			n, err := file.Read(b)
			if err != nil {
				return
			}
			if mac, address, ok := arpSender(b[:n]); ok && address == floatA {
				heard <- mac
			}
		}
	}()
	answered := map[netip.Addr]bool{}
	eventually(t, "the other uplink is heard", func() bool {
		if err := at.announce(); err != nil {
			t.Fatal(err)
		}
		if answered, err = whoAnswers(t.Context(), []spot{asked}); err != nil {
			t.Fatal(err)
		}
		return len(heard) > 0
	})
	if mac := <-heard; string(mac[:]) != string(other.Attrs().HardwareAddr) || answered[floatA] {
		t.Errorf("it heard %s, the other uplink is %s; another machine answers: %t", mac, other.Attrs().HardwareAddr, answered[floatA])
	}
	if own, err := ownMAC(store.MAC{2, 0, 0, 0, 0, 9}); own || err != nil {
		t.Errorf("another machine's MAC is its own: %t, %v", own, err)
	}
}

// That an interface is not heard is a problem of its own, and is over once it is heard again.
func TestHearingAgain(t *testing.T) {
	g := newGatewayHost(t)
	f, _ := floatingOn(t, g)
	link, err := netlink.LinkByName("under0")
	if err != nil {
		t.Fatal(err)
	}
	go f.keepHearing(t.Context(), link.Attrs().Index)
	problem := func() bool {
		return strings.Contains(f.problems.text("floating announcements: under0"), "network is down")
	}
	for range 2 {
		g.run("ip", "link", "set", "under0", "down")
		eventually(t, "that it is not heard is told", problem)
		g.run("ip", "link", "set", "under0", "up")
		eventually(t, "it is heard again", func() bool { return !problem() })
	}
}

func TestARPSender(t *testing.T) {
	mac := store.MAC{2, 0, 0, 0, 0, 7}
	frame := arpAnnouncement(mac, floatA, everybody)[14:]
	if from, a, ok := arpSender(frame); !ok || from != mac || a != floatA {
		t.Errorf("%s, %s, %v", from, a, ok)
	}
	for name, spoil := range map[string]func(b []byte) []byte{
		"short":                     func(b []byte) []byte { return b[:27] },
		"another link":              func(b []byte) []byte { b[1] = 6; return b },
		"another protocol":          func(b []byte) []byte { b[2] = 9; return b },
		"longer addresses":          func(b []byte) []byte { b[4] = 8; return b },
		"longer protocol addresses": func(b []byte) []byte { b[5] = 16; return b },
		"a probe":                   func([]byte) []byte { return arpProbe(mac, floatA, everybody)[14:] },
	} {
		if from, a, ok := arpSender(spoil(slices.Clone(frame))); ok {
			t.Errorf("%s: it is from %s, %s", name, from, a)
		}
	}
}

// send sends a frame by an interface.
func (h *host) send(name string, frame []byte) {
	h.t.Helper()
	link, err := netlink.LinkByName(name)
	if err != nil {
		h.t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: link.Attrs().Index}); err != nil {
		h.t.Fatal(err)
	}
}
