package hostagent

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"sluice/store"
)

// announce tells all neighbours of the uplink that the address is here now.
func (s spot) announce() error { return s.send(arpAnnouncement) }

// send sends a frame about the address to all neighbours.
func (s spot) send(frame func(mac store.MAC, address netip.Addr, to store.MAC) []byte) error {
	link, err := netlink.LinkByIndex(s.link)
	if err != nil {
		return fmt.Errorf("announce floating address %s: %w", s.address, err)
	}
	var mac store.MAC
	if copy(mac[:], link.Attrs().HardwareAddr) != len(mac) {
		return nil // no Ethernet: nobody asks for addresses there
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		defer unix.Close(fd)
		err = unix.Sendto(fd, frame(mac, s.address, everybody), 0, &unix.SockaddrLinklayer{Ifindex: s.link})
	}
	if err != nil {
		return fmt.Errorf("announce floating address %s by interface %s: %w", s.address, link.Attrs().Name, err)
	}
	return nil
}

// listen has run hear what is said on the interfaces of some addresses, and on no others.
func (f *floating) listen(at []spot) {
	var links []int
	for _, s := range at {
		links = append(links, s.link)
	}
	slices.Sort(links)
	f.mu.Lock()
	f.links = slices.Compact(links)
	f.mu.Unlock()
	f.listening.ring()
}

// run hears who else says that it has addresses of this host's, until ctx ends.
func (f *floating) run(ctx context.Context) {
	var heard []int
	stop := func() {}
	defer func() { stop() }()
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.listening:
		}
		f.mu.Lock()
		links := f.links
		f.mu.Unlock()
		if slices.Equal(links, heard) {
			continue
		}
		stop()
		hearing, cancel := context.WithCancel(ctx)
		heard, stop = links, cancel
		for _, link := range links {
			go f.keepHearing(hearing, link)
		}
	}
}

func (f *floating) keepHearing(ctx context.Context, link int) {
	problem := fmt.Sprintf("floating announcements: interface %d", link)
	if l, err := netlink.LinkByIndex(link); err == nil {
		problem = "floating announcements: " + l.Attrs().Name
	}
	defer f.problems.report(problem, nil)
	for ctx.Err() == nil {
		file, err := arpSocket(link)
		if f.problems.report(problem, err); err == nil {
			f.problems.report(problem, f.hear(ctx, file, link))
		}
		pause(ctx, retryInterval)
	}
}

// hear hears who says by an interface to have an address, until ctx ends or that fails.
func (f *floating) hear(ctx context.Context, file *os.File, link int) error {
	defer file.Close()
	defer context.AfterFunc(ctx, func() { file.Close() })()
	for b := make([]byte, 128); ; {
		n, err := file.Read(b)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("hear who else has floating addresses: %w", err)
		}
		if mac, address, ok := arpSender(b[:n]); ok && f.holding(address) {
			if own, err := ownMAC(mac); err == nil && !own { // who could not be looked up says so again
				f.contested(ctx, spot{address, link}, mac)
			}
		}
	}
}

const (
	// arpProbes and arpProbeWait are how often a machine is asked whether it has an address, and how long it has to answer each time.
	arpProbes    = 3
	arpProbeWait = 150 * time.Millisecond
)

// whoAnswers asks all neighbours who has some addresses (RFC 5227, 2.1.1), and tells to which of them somebody answers, or says that it has them.
func whoAnswers(ctx context.Context, list []spot) (answered map[netip.Addr]bool, err error) {
	answered = make(map[netip.Addr]bool)
	at := map[int][]spot{}
	for _, s := range list {
		at[s.link] = append(at[s.link], s)
	}
	for link, spots := range at {
		if err := askWho(ctx, link, spots, answered); err != nil {
			return nil, err
		}
	}
	return answered, nil
}

func askWho(ctx context.Context, link int, spots []spot, answered map[netip.Addr]bool) error {
	file, err := arpSocket(link)
	if err != nil {
		return err
	}
	defer file.Close()
	for range arpProbes {
		for _, s := range spots {
			if err := s.send(arpProbe); err != nil {
				return err
			}
		}
		if err := takeAnswers(ctx, file, spots, answered); err != nil {
			return err
		}
	}
	return nil
}

// takeAnswers notes which of some addresses others say to have, for as long as an answer may take.
func takeAnswers(ctx context.Context, file *os.File, spots []spot, answered map[netip.Addr]bool) error {
	if err := file.SetReadDeadline(time.Now().Add(arpProbeWait)); err != nil {
		return fmt.Errorf("hear who has floating addresses: %w", err)
	}
	for b := make([]byte, 128); ctx.Err() == nil; {
		n, err := file.Read(b)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("hear who has floating addresses: %w", err)
		}
		mac, address, ok := arpSender(b[:n])
		if !ok || !slices.ContainsFunc(spots, func(s spot) bool { return s.address == address }) {
			continue
		}
		own, err := ownMAC(mac)
		if err != nil {
			return err
		}
		answered[address] = answered[address] || !own
	}
	return ctx.Err()
}

// arpProbe asks who has an address, and says none of who asks.
func arpProbe(mac store.MAC, address netip.Addr, to store.MAC) []byte {
	frame := arpAnnouncement(mac, address, to)
	const sender = 14 + 14 // the address of who asks, behind Ethernet's header
	clear(frame[sender : sender+4])
	return frame
}

// arpSocket gets all ARP that comes by an interface, without headers of Ethernet.
func arpSocket(link int) (*os.File, error) {
	const arp = unix.ETH_P_ARP<<8 | unix.ETH_P_ARP>>8 // as the network orders its bytes
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, arp&0xffff)
	if err != nil {
		return nil, fmt.Errorf("hear who else has floating addresses: %w", err)
	}
	err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: arp & 0xffff, Ifindex: link})
	if failed, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR); err == nil && failed != 0 { // the interface is down
		err = unix.Errno(failed)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("hear who else has floating addresses: %w", err)
	}
	return os.NewFile(uintptr(fd), "arp"), nil
}

// arpSender is who a packet of ARP for IPv4 over Ethernet says that it is from. One that probes whether an address is free says none.
func arpSender(b []byte) (mac store.MAC, address netip.Addr, ok bool) {
	const size = 28
	if len(b) < size || binary.BigEndian.Uint16(b) != 1 || binary.BigEndian.Uint16(b[2:]) != unix.ETH_P_IP || b[4] != 6 || b[5] != 4 {
		return mac, address, false
	}
	copy(mac[:], b[8:14])
	address = netip.AddrFrom4([4]byte(b[14:18]))
	return mac, address, !address.IsUnspecified()
}

// ownMAC reports whether an interface of this host has a MAC. Two uplinks in one segment hear each other.
func ownMAC(mac store.MAC) (bool, error) {
	links, err := again(netlink.LinkList)
	if err != nil {
		return false, fmt.Errorf("whose MAC is %s: list interfaces: %w", mac, err)
	}
	return slices.ContainsFunc(links, func(l netlink.Link) bool { return string(l.Attrs().HardwareAddr) == string(mac[:]) }), nil
}
