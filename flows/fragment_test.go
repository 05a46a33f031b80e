package flows

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"testing"

	"sluice/store"
)

// A datagram in two fragments passes a gateway's NAT in Open vSwitch, out and back, and to
// the infrastructure it does not. Open vSwitch takes a first fragment from 1200 bytes on.
func TestOVSFragments(t *testing.T) {
	o := newTracer(t)
	o.load(t, "two-tenants")
	container, internet := netip.MustParseAddr("10.0.0.11"), netip.MustParseAddr("203.0.113.1")
	for _, step := range []struct {
		about, port string
		d           datagram
		met         string // what both fragments meet
	}{
		{"out", "p1", datagram{store.MAC{2, 0, 0, 0, 0, 0x11}, container, internet, 1000, 53}, `table=100,.*actions=output:200`},
		{"and back", "p200", datagram{store.KernelMAC, internet, store.DefaultTransit.Address(7), 53, 1000}, `table=100,.*actions=output:1\n`},
		{"to another host", "p1", datagram{store.MAC{2, 0, 0, 0, 0, 0x11}, container, netip.MustParseAddr("172.30.0.3"), 1000, 53},
			fmt.Sprintf(`table=250,.*reg3=%#x,metadata=0x7`, uint64(reasonInfrastructure))},
	} {
		for _, fragment := range step.d.fragments() {
			o.AppCtl("netdev-dummy/receive", step.port, hex.EncodeToString(fragment))
		}
		for range 2 { // commands and frames take turns
			o.AppCtl("version")
		}
		o.AppCtl("revalidator/purge") // writes the counters
		dump := o.OFCtl("dump-flows", "br0", "--no-names")
		if !regexp.MustCompile(`n_packets=2, .*` + step.met).MatchString(reordered(dump)) {
			t.Errorf("%s: the fragments did not meet %s:\n%s", step.about, step.met, dump)
		}
	}
}

// No fragment hides neighbour discovery, or a message to a DHCP client, from whatever source: what
// the frame shows of itself is enough to refuse it. A fragment of UDP between ports is nobody's harm.
func TestOVSRefusesHiddenMessages(t *testing.T) {
	o := newTracer(t)
	o.load(t, "routed-ipv6")
	forbidden := fmt.Sprintf(`table=%d,.*reg3=%#x,metadata=0x3`, tableDrop, uint64(reasonForbidden))
	const (
		destinationOptions = 60
		fragmentHeader     = 44
		firstOfMore        = 1
	)
	advertisement := []byte{neighbourAdvert, 0, 0, 0, 0x20, 0, 0, 0, 0xfd, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}
	fragmented := func(next byte, payload ...byte) []byte {
		return ipv6Frame(fragmentHeader, append([]byte{next, 0, 0, firstOfMore, 1, 2, 3, 4}, payload...))
	}
	for _, tt := range []struct {
		about string
		frame []byte
		met   string
	}{
		{"an advertisement", fragmented(protoICMPv6, advertisement...), forbidden},
		{"one behind options", fragmented(destinationOptions, append([]byte{protoICMPv6, 0, 1, 4, 0, 0, 0, 0}, advertisement...)...), forbidden},
		{"options that end in another fragment", fragmented(destinationOptions, protoICMPv6, 2, 1, 20, 0, 0, 0, 0), forbidden},
		{"a datagram to a DHCP client", ipv6Frame(protoUDP, udpHeader(5470, portDHCPv6Client)), forbidden},
		{"a fragment of a datagram", fragmented(protoUDP, udpHeader(5470, 4000)...), fmt.Sprintf("table=%d,", tableEncap)},
	} {
		t.Run(tt.about, func(t *testing.T) {
			o.loaded = ""
			o.load(t, "routed-ipv6")
			o.AppCtl("netdev-dummy/receive", "p1", hex.EncodeToString(tt.frame))
			for range 2 { // commands and frames take turns
				o.AppCtl("version")
			}
			o.AppCtl("revalidator/purge") // writes the counters
			dump := o.OFCtl("dump-flows", "br0", "--no-names")
			if !regexp.MustCompile(`n_packets=1, .*(` + tt.met + `)`).MatchString(reordered(dump)) {
				t.Errorf("it did not meet %s:\n%s", tt.met, dump)
			}
		})
	}
}

// ipv6Frame is a frame from w1 of routed-ipv6 to w2, both by their routed addresses.
func ipv6Frame(next byte, payload []byte) []byte {
	ip := binary.BigEndian.AppendUint16([]byte{0x60, 0, 0, 0}, uint16(len(payload)))
	ip = append(ip, next, ownHopTTL)
	for _, a := range []string{"fd01::11", "fd01::12"} {
		ip = append(ip, netip.MustParseAddr(a).AsSlice()...)
	}
	return slices.Concat([]byte{2, 0, 0, 0, 1, 2, 2, 0, 0, 0, 1, 1, 0x86, 0xdd}, ip, payload)
}

// udpHeader is an empty datagram with a checksum that nobody looks at.
func udpHeader(from, to uint16) []byte {
	b := binary.BigEndian.AppendUint16(nil, from)
	return append(binary.BigEndian.AppendUint16(b, to), 0, 8, 1, 1)
}

// reordered puts each flow's counters before its table.
func reordered(dump string) string {
	return regexp.MustCompile(`(table=\d+, )(n_packets=\d+, )`).ReplaceAllString(dump, "$2$1")
}

// datagram is UDP to the router's MAC.
type datagram struct {
	mac              store.MAC
	from, to         netip.Addr
	fromPort, toPort uint16
}

// fragments are the datagram's two frames (RFC 791, 3.2).
func (d datagram) fragments() [][]byte {
	const first, length, more = 1304, 1808, 0x2000
	b := binary.BigEndian.AppendUint16(nil, d.fromPort)
	b = binary.BigEndian.AppendUint16(b, d.toPort)
	b = binary.BigEndian.AppendUint32(b, length<<16) // without a checksum
	b = append(b, make([]byte, length-len(b))...)
	return [][]byte{d.fragment(more, b[:first]), d.fragment(first/8, b[first:])}
}

func (d datagram) fragment(flagsAndOffset uint16, payload []byte) []byte {
	ip := binary.BigEndian.AppendUint16([]byte{0x45, 0}, uint16(20+len(payload)))
	ip = binary.BigEndian.AppendUint16(append(ip, 0x12, 0x34), flagsAndOffset)
	ip = slices.Concat(ip, []byte{64, protoUDP, 0, 0}, d.from.AsSlice(), d.to.AsSlice())
	sum := uint32(0)
	for i := 0; i < len(ip); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	binary.BigEndian.PutUint16(ip[10:], ^uint16(sum+sum>>16))
	return slices.Concat(store.RouterMAC[:], d.mac[:], []byte{8, 0}, ip, payload)
}
