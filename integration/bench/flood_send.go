package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"sluice/integration/lab"
	"sluice/store"
)

// floodKind is a kind of flood: its frame number n, as a container sends it.
type floodKind struct {
	name  string
	frame func(p *floodPort, n uint32) []byte
}

var floodKinds = []floodKind{
	{"ARP requests", (*floodPort).arpRequest},
	{"new TCP connections", (*floodPort).tcpSYN},
	{"UDP to random ports", (*floodPort).udpRandom},
	{"broadcasts", (*floodPort).broadcast},
}

var everybody = store.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

const (
	protoTCP = 6
	protoUDP = 17
)

// flood sends frames as fast as it can while do runs, and returns how many a second.
func (p *floodPort) flood(ctx context.Context, frame func(*floodPort, uint32) []byte, do func() error) (rate float64, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	begun, ended := make(chan error, 1), make(chan uint32, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread is in another namespace, and ends with its goroutine
		send, hangUp, err := p.open()
		begun <- err
		sent := uint32(0)
		for err == nil && ctx.Err() == nil {
			err = send(frame(p, sent))
			sent++
		}
		hangUp()
		ended <- sent
	}()
	if err := <-begun; err != nil {
		return 0, fmt.Errorf("container %s: %w", p.name, err)
	}
	start := time.Now()
	err = do()
	stop()
	return float64(<-ended) / time.Since(start).Seconds(), err
}

// open moves the thread into the container and opens its interface.
func (p *floodPort) open() (send func([]byte) error, hangUp func(), err error) {
	none := func() {}
	ns, err := netns.GetFromPath(filepath.Join("/run/netns", p.netns))
	if err != nil {
		return nil, none, err
	}
	defer ns.Close()
	if err := netns.Set(ns); err != nil {
		return nil, none, err
	}
	link, err := net.InterfaceByName(p.link)
	if err != nil {
		return nil, none, err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, none, err
	}
	to := &unix.SockaddrLinklayer{Ifindex: link.Index}
	send = func(frame []byte) error {
		if err := unix.Sendto(fd, frame, 0, to); !errors.Is(err, unix.ENOBUFS) && !errors.Is(err, unix.EINTR) {
			return err
		}
		return nil
	}
	return send, func() { unix.Close(fd) }, nil
}

// arpRequest asks for one address of the network after the other.
func (p *floodPort) arpRequest(n uint32) []byte {
	asked := p.ip.As4()
	asked[3] = byte(n)
	arp := []byte{0, 1, 8, 0, 6, 4, 0, 1}
	arp = slices.Concat(arp, p.mac[:], p.ip.AsSlice(), make([]byte, 6), asked[:])
	return slices.Concat(everybody[:], p.mac[:], []byte{8, 6}, arp)
}

// tcpSYN opens a connection to the outside, from a port of its own.
func (p *floodPort) tcpSYN(n uint32) []byte {
	tcp := ports(uint16(1024+n%60000), uint16(1+n/60000))
	tcp = append(tcp, 0, 0, 0, 1, 0, 0, 0, 0, 5<<4, 0x02, 0xff, 0xff, 0, 0, 0, 0)
	return p.toRouter(protoTCP, tcp, 16)
}

func (p *floodPort) udpRandom(n uint32) []byte {
	hash := n * 2654435761 // Knuth's: each port in its turn, in no order
	return p.toRouter(protoUDP, append(ports(uint16(hash), uint16(hash>>16)|1), 0, 8, 0, 0), 6)
}

func (p *floodPort) broadcast(n uint32) []byte {
	udp := append(ports(uint16(n)|1, 9), 0, 8, 0, 0)
	return p.ipv4(everybody, netip.AddrFrom4([4]byte{255, 255, 255, 255}), protoUDP, udp, 6)
}

func (p *floodPort) toRouter(proto byte, payload []byte, sumAt int) []byte {
	return p.ipv4(store.RouterMAC, lab.InternetAddress, proto, payload, sumAt)
}

// ports begin a header of TCP or UDP.
func ports(from, to uint16) []byte {
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(make([]byte, 0, 20), from), to)
}

// ipv4 is a frame with a payload whose checksum is to stand at sumAt.
func (p *floodPort) ipv4(dst store.MAC, to netip.Addr, proto byte, payload []byte, sumAt int) []byte {
	pseudo := slices.Concat(p.ip.AsSlice(), to.AsSlice(), []byte{0, proto, 0, byte(len(payload))}, payload)
	binary.BigEndian.PutUint16(payload[sumAt:], checksum(pseudo))
	head := []byte{0x45, 0, 0, byte(20 + len(payload)), 0, 0, 0, 0, 64, proto, 0, 0}
	head = slices.Concat(head, p.ip.AsSlice(), to.AsSlice())
	binary.BigEndian.PutUint16(head[10:], checksum(head))
	return slices.Concat(dst[:], p.mac[:], []byte{8, 0}, head, payload)
}

// checksum is that of the internet's protocols (RFC 1071), of an even number of bytes.
func checksum(b []byte) uint16 {
	sum := uint32(0)
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
