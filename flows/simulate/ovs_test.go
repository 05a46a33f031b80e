package simulate

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"sluice/datapath/ovsrun"
	"sluice/datapath/ovstest"

	goovs "github.com/digitalocean/go-openvswitch/ovs"
)

// Ports of the bridge under test. The tunnel's frames leave by, and come from, a port of
// the bridge below.
const (
	tunnelPort = 100
	underlay   = "p0"
	localVTEP  = "172.30.0.1"
	remoteVTEP = "172.30.0.2"
)

var (
	plainPorts  = []uint32{1, 2, 3, 200}
	underlayMAC = []byte{0x02, 0, 0, 0, 0xff, 0x01}
	peerMAC     = []byte{0x02, 0, 0, 0, 0xff, 0x02}
)

// ovs is an Open vSwitch of our own with its dummy datapath, whose ports take frames
// from a test and write what they send into files.
type ovs struct {
	*ovstest.OVS
	t    *testing.T
	read map[string]int // bytes of each file read so far
}

func startOVS(t *testing.T) *ovs {
	t.Helper()
	o := &ovs{OVS: ovstest.Start(t, "--enable-dummy"), t: t, read: map[string]int{}}
	o.configure()
	return o
}

func (o *ovs) configure() {
	o.Change(func(c *ovsrun.Change) error {
		err := errors.Join(c.AddBridge("br0"), c.Also("set", "bridge", "br0", "datapath_type=dummy"),
			c.SetFailMode("br0", goovs.FailModeSecure))
		for _, n := range plainPorts {
			name := portName(n)
			err = errors.Join(err, c.AddPort("br0", name), o.dummy(c, name, n))
		}
		return errors.Join(err,
			c.AddPort("br0", "tun"),
			c.Set.Interface("tun", goovs.InterfaceOptions{Type: goovs.InterfaceTypeVXLAN, RemoteIP: "flow", Key: "flow"}),
			c.Also("set", "interface", "tun", fmt.Sprint("ofport_request=", tunnelPort)),
			c.AddBridge("br-phy"),
			c.Also("set", "bridge", "br-phy", "datapath_type=dummy", "other_config:hwaddr="+net.HardwareAddr(underlayMAC).String()),
			c.AddPort("br-phy", underlay),
			o.dummy(c, underlay, 1))
	})
	o.Call("netdev-dummy/ip4addr", "br-phy", localVTEP+"/24")
	o.Call("ovs/route/add", "172.30.0.0/24", "br-phy")
	o.Call("tnl/arp/set", "br-phy", remoteVTEP, net.HardwareAddr(peerMAC).String())
}

// dummy makes a port one of the dummy datapath that writes what it sends into a file.
func (o *ovs) dummy(c *ovsrun.Change, name string, number uint32) error {
	return errors.Join(c.Set.Interface(name, goovs.InterfaceOptions{Type: "dummy"}),
		c.Also("set", "interface", name, fmt.Sprint("ofport_request=", number), "options:tx_pcap="+o.pcap(name)))
}

func portName(n uint32) string { return fmt.Sprintf("p%d", n) }

func (o *ovs) pcap(port string) string { return o.Path(port + ".pcap") }

func (o *ovs) load(file string) {
	o.OFCtl("replace-flows", "br0", "--bundle", file)
}

// inject lets a frame enter by a port and returns the frames that left, by port. A tunnel's
// frames are wrapped before and unwrapped after.
func (o *ovs) inject(port uint32, frame []byte, key uint32) map[uint32][][]byte {
	name := portName(port)
	if port == tunnelPort {
		name, frame = underlay, wrap(frame, key)
	}
	o.Call("netdev-dummy/receive", name, hex.EncodeToString(frame))
	// Frames and commands are served by one loop in turns: when a later turn's command was
	// answered, the frame has passed.
	for range 2 {
		o.Call("version")
	}
	left := map[uint32][][]byte{}
	for _, n := range plainPorts {
		if frames := o.sent(portName(n)); len(frames) > 0 {
			left[n] = frames
		}
	}
	if frames := o.sent(underlay); len(frames) > 0 {
		left[tunnelPort] = frames
	}
	return left
}

// sent reads the frames that a port sent since the last call (the format is libpcap's).
func (o *ovs) sent(port string) [][]byte {
	b, err := os.ReadFile(o.pcap(port))
	if err != nil {
		o.t.Fatal(err)
	}
	const fileHeader, recordHeader = 24, 16
	at := max(o.read[port], fileHeader)
	var frames [][]byte
	for at+recordHeader <= len(b) {
		length := int(binary.NativeEndian.Uint32(b[at+8:]))
		at += recordHeader
		frames = append(frames, b[at:at+length])
		at += length
	}
	o.read[port] = at
	return frames
}

// Lengths of the headers that a VXLAN tunnel over IPv4 adds (RFC 7348).
const (
	outerEthernet = 14
	outerIP       = 20
	outerUDP      = 8
	vxlan         = 8
)

// wrap puts a frame into VXLAN from the peer.
func wrap(frame []byte, key uint32) []byte {
	b := slices.Concat(underlayMAC, peerMAC, []byte{8, 0, 0x45, 0})
	b = binary.BigEndian.AppendUint16(b, uint16(outerIP+outerUDP+vxlan+len(frame)))
	b = append(b, 0, 0, 0, 0, 64, protoUDP, 0, 0)
	b = append(b, net.ParseIP(remoteVTEP).To4()...)
	b = append(b, net.ParseIP(localVTEP).To4()...)
	binary.BigEndian.PutUint16(b[outerEthernet+10:], ^sum(b[outerEthernet:]))
	b = append(b, 0x80, 0, 0x12, 0xb5)
	b = binary.BigEndian.AppendUint16(b, uint16(outerUDP+vxlan+len(frame)))
	b = append(b, 0, 0, 8, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, key<<8)
	return append(b, frame...)
}

// unwrap takes a frame out of VXLAN, with its key and where it went.
func unwrap(b []byte) (frame []byte, key uint32, to string) {
	const head = outerEthernet + outerIP + outerUDP + vxlan
	return b[head:], binary.BigEndian.Uint32(b[head-4:]) >> 8, net.IP(b[outerEthernet+16:][:4]).String()
}

var countPattern = regexp.MustCompile(`cookie=(0x[0-9a-f]+),.* n_packets=(\d+),`)

// counts are the packets that each flow met, by cookie.
func (o *ovs) counts() map[uint64]uint64 {
	o.Call("revalidator/purge")
	dump := o.OFCtl("dump-flows", "br0")
	counts := map[uint64]uint64{}
	for _, m := range countPattern.FindAllStringSubmatch(dump, -1) {
		cookie, err := strconv.ParseUint(m[1], 0, 64)
		if err != nil {
			o.t.Fatal(err)
		}
		packets, err := strconv.ParseUint(m[2], 10, 64)
		if err != nil {
			o.t.Fatal(err)
		}
		counts[cookie] += packets
	}
	return counts
}
