package hostagent

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"sluice/store"
)

// An address that was another container's a moment ago is in its neighbours' caches with the MAC of that
// one. So each new port tells its neighbours what MAC its addresses have now, as a container's own kernel
// would: by an ARP announcement (RFC 5227, 3) and an unsolicited neighbour advertisement (RFC 4861, 7.2.6).

var everybody = store.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// mostTold bounds the neighbours that are told one by one, in a network that replicates no broadcast.
const mostTold = 1000

// announce tells a port's neighbours its addresses. Who does not hear it asks again when its cache is
// stale, which Linux does within a minute.
func (a *Agent) announce(ctx context.Context, at *attachment) {
	told := []store.MAC{everybody}
	var err error
	if at.network.Flood == store.FloodOff {
		told, err = a.o.Store.NetworkMACs(ctx, at.key.NetworkName(), mostTold)
	}
	if err = errors.Join(err, sendFrom(at.ns, at.req.IfName, announcements(at.port.Value, told))); err != nil {
		a.log.Warn("cannot tell the neighbours of a new port its addresses", "tenant", at.key.Tenant,
			"network", at.key.Network, "port", at.key.Name, "err", err)
	}
}

// announcements are the frames by which a port tells some neighbours its addresses. Of IPv6 only all are told.
func announcements(p *store.Port, told []store.MAC) (frames [][]byte) {
	for _, address := range p.Addresses {
		for _, to := range told {
			if a := address.Addr(); a.Is4() {
				frames = append(frames, arpAnnouncement(p.MAC, a, to))
			} else if to == everybody {
				frames = append(frames, advertisement(p.MAC, a))
			}
		}
	}
	return frames
}

// arpAnnouncement is a request for the sender's own address (RFC 826, RFC 5227).
func arpAnnouncement(mac store.MAC, address netip.Addr, to store.MAC) []byte {
	own := address.As4()
	frame := ethernet(to, mac, unix.ETH_P_ARP)
	frame = append(frame, 0, 1, 8, 0, 6, 4, 0, 1) // Ethernet, IPv4, lengths of their addresses, a request
	frame = append(append(frame, mac[:]...), own[:]...)
	return append(append(frame, make([]byte, 6)...), own[:]...)
}

// advertisement tells all nodes of a link that an address is the sender's, over what they knew (RFC 4861, 4.4).
func advertisement(mac store.MAC, address netip.Addr) []byte {
	all := netip.IPv6LinkLocalAllNodes()
	target := address.As16()
	message := append([]byte{136, 0, 0, 0, 0x20, 0, 0, 0}, target[:]...) // override
	message = append(append(message, 2, 1), mac[:]...)                   // the target's link-layer address
	binary.BigEndian.PutUint16(message[2:], checksumICMPv6(address, all, message))
	frame := ethernet(store.MAC{0x33, 0x33, 0, 0, 0, 1}, mac, unix.ETH_P_IPV6)
	frame = append(frame, 0x60, 0, 0, 0, 0, byte(len(message)), unix.IPPROTO_ICMPV6, 255)
	return append(append(append(frame, target[:]...), all.AsSlice()...), message...)
}

func ethernet(to, from store.MAC, kind uint16) []byte {
	return binary.BigEndian.AppendUint16(append(append([]byte{}, to[:]...), from[:]...), kind)
}

// checksumICMPv6 is a message's checksum, over the pseudo-header too (RFC 8200, 8.1). The message has an even length.
func checksumICMPv6(from, to netip.Addr, message []byte) uint16 {
	header := append(from.AsSlice(), to.AsSlice()...)
	header = binary.BigEndian.AppendUint32(header, uint32(len(message)))
	header = binary.BigEndian.AppendUint32(header, unix.IPPROTO_ICMPV6)
	sum := uint32(0)
	for _, part := range [][]byte{header, message} {
		for i := 0; i < len(part); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(part[i:]))
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// sendFrom sends frames by an interface of a namespace.
func sendFrom(ns netns.NsHandle, name string, frames [][]byte) error {
	h, err := netlink.NewHandleAt(ns)
	if err != nil {
		return fmt.Errorf("open the container's namespace: %w", err)
	}
	defer h.Close()
	link, err := h.LinkByName(name)
	if err != nil {
		return fmt.Errorf("interface %s of the container: %w", name, err)
	}
	fd, err := socketIn(ns, unix.AF_PACKET, unix.SOCK_RAW)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for _, frame := range frames {
		if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: link.Attrs().Index}); err != nil {
			return fmt.Errorf("send by interface %s of the container: %w", name, err)
		}
	}
	return nil
}
