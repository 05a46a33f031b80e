package simulate

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// arrival is a frame on its way into the bridge under test.
type arrival struct {
	port   uint32
	key    uint32 // of the tunnel
	packet Packet
	seq    sequence
}

// oracle runs the same flows and frames here and in Open vSwitch.
type oracle struct {
	t      *testing.T
	ovs    *ovs
	bridge *Bridge
	flows  map[uint64]string // by cookie, the line of the file
	last   *Result           // of the last step
}

// newOracle loads a file of flows on both sides. Each line gets its number as cookie.
func newOracle(t *testing.T, file string) *oracle {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	o := &oracle{t: t, ovs: startOVS(t), flows: map[uint64]string{}}
	var flows []of.Flow
	var loaded strings.Builder
	for i, line := range strings.Split(string(text), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		line = fmt.Sprintf("cookie=%#x,%s", i+1, line)
		f, err := of.ParseFlow(line)
		if err != nil {
			t.Fatalf("%s:%d: %v", file, i+1, err)
		}
		flows = append(flows, f)
		o.flows[uint64(i+1)] = line
		loaded.WriteString(line + "\n")
	}
	if o.bridge, err = NewBridge(flows); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(o.ovs.Path("flows"), []byte(loaded.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	o.ovs.load(o.ovs.Path("flows"))
	return o
}

// step sends one frame through both and compares what left.
func (o *oracle) step(a arrival) {
	o.t.Helper()
	frame := a.seq.bytes(&a.packet)
	want := o.ovs.inject(a.port, frame, a.key)
	if a.port == tunnelPort {
		remote, local := netip.MustParseAddr(remoteVTEP), netip.MustParseAddr(localVTEP)
		a.packet = a.packet.Tunnelled(uint64(a.key), remote, local)
	}
	result, err := o.bridge.Run(a.packet, a.port)
	if err != nil {
		o.t.Fatal(err)
	}
	o.last = result
	got := a.outputs(result)
	if got != describe(want) {
		o.t.Errorf("simulated %s got %s\nwant %s\nsent %x", result, got, describe(want), frame)
	}
}

// outputs are the frames that the simulator sent, as text.
func (a arrival) outputs(r *Result) string {
	var lines []string
	for _, out := range r.Outputs {
		p := &out.Packet
		to, key := address(p.Get(of.FieldTunDst), false), uint32(p.Uint(of.FieldTunID))
		lines = append(lines, line(out.Port, a.seq.bytes(p), key, to.String()))
	}
	return sorted(lines)
}

// describe writes the frames that left Open vSwitch in the same way.
func describe(left map[uint32][][]byte) string {
	var lines []string
	for port, frames := range left {
		for _, b := range frames {
			var key uint32
			to := ""
			if port == tunnelPort {
				b, key, to = unwrap(b)
			}
			lines = append(lines, line(port, b, key, to))
		}
	}
	return sorted(lines)
}

func line(port uint32, frame []byte, key uint32, to string) string {
	if port == tunnelPort {
		return fmt.Sprintf("  %d, key %#x, to %s: %x", port, key, to, frame)
	}
	return fmt.Sprintf("  %d: %x", port, frame)
}

// sorted makes lines comparable: copies leave in an order that means nothing.
func sorted(lines []string) string {
	if len(lines) == 0 {
		return "nothing"
	}
	slices.Sort(lines)
	return "\n" + strings.Join(lines, "\n")
}

// finish compares the packets that each flow met and returns the flows that met none.
func (o *oracle) finish() (unmet []uint64) {
	o.t.Helper()
	want := o.ovs.counts()
	for f := range o.bridge.Flows() {
		if f.Packets != want[f.Cookie] {
			o.t.Errorf("%d packets simulated, %d in Open vSwitch: %s", f.Packets, want[f.Cookie], o.flows[f.Cookie])
		}
		if want[f.Cookie] == 0 {
			unmet = append(unmet, f.Cookie)
		}
	}
	return unmet
}

var seeds = []uint64{1, 2, 3}

func TestActionsAsInOpenVSwitch(t *testing.T) {
	o := newOracle(t, "actions.flows")
	for _, seed := range seeds {
		t.Logf("seed %d", seed)
		r := rand.New(rand.NewPCG(seed, 0))
		for range 800 {
			o.step(randomArrival(r))
			if t.Failed() {
				return
			}
		}
	}
	for _, cookie := range o.finish() {
		t.Errorf("no packet met %s", o.flows[cookie])
	}
}

// cases is the highest case of testdata/actions.flows.
const cases = 0x17

func randomArrival(r *rand.Rand) arrival {
	a := arrival{port: choose[uint32](r, 1, 1, 2, 3, 200, tunnelPort), packet: randomPacket(r)}
	if a.port == tunnelPort {
		a.key = choose[uint32](r, 5, 6, 7, 8, 0xffffff)
	}
	dst := store.MAC{2, 0, 0, 0, 0, byte(min(cases, 1+r.IntN(cases+8)))} // the last has most flows
	if r.IntN(20) > 0 {
		a.packet.SetUint(of.FieldEthDst, dst.Uint64())
	}
	for range choose(r, 0, 0, 0, 0, 1, 1, 2) {
		a.packet = a.packet.Tag(choose[uint16](r, 5, 6, 0x6005, 0x6064))
	}
	return a
}

func randomPacket(r *rand.Rand) Packet {
	from, to := randomEndpoint(r, "10.0.0."), randomEndpoint(r, "10.0.0.")
	if r.IntN(3) == 0 {
		from, to = randomEndpoint(r, "fd00::"), randomEndpoint(r, "fd00::")
		if r.IntN(2) == 0 {
			return randomND(r, from, to)
		}
	} else if r.IntN(4) == 0 {
		return choose(r, ARPRequest(from, to.IP), ARPReply(from, to))
	}
	p := choose(r,
		ICMPEcho(from, to, 7), UDP(from, to), IP(from, to, 132), Ethernet(from.MAC, to.MAC, 0x88b5),
		TCP(from, to, TCPSyn), TCP(from, to, TCPSyn|TCPAck), TCP(from, to, TCPAck))
	if p.isIP() {
		p.SetUint(of.FieldIPTTL, choose[uint64](r, 0, 1, 2, 64))
		p.SetUint(of.FieldIPFrag, choose[uint64](r, 0, 0, 0, 0, FragmentLater, FragmentFirst))
		if p.Uint(of.FieldIPFrag) == FragmentLater {
			p = p.headless()
		}
	}
	return p
}

// headless drops the transport header, which a later fragment does not have.
func (p Packet) headless() Packet {
	for f := of.FieldTCPSrc; f <= of.FieldNDOptionsType; f++ {
		p.SetUint(f, 0)
	}
	p.Echo = 0
	return p
}

func randomND(r *rand.Rand, from, to Endpoint) Packet {
	p := choose(r, NeighbourSolicitation(from, to.IP), NeighbourSolicitation(from, to.IP), NeighbourAdvertisement(from, to))
	if r.IntN(3) == 0 {
		p.SetUint(of.FieldNDOptionsType, 0)
	}
	return p.Frame()
}

func randomEndpoint(r *rand.Rand, prefix string) Endpoint {
	n := 1 + r.IntN(4)
	return Endpoint{
		MAC:  store.MAC{2, 0, 0, 0, choose[byte](r, 1, 1, 2), choose[byte](r, 1, 2)},
		IP:   netip.MustParseAddr(fmt.Sprintf("%s%d", prefix, n)),
		Port: choose[uint16](r, 53, 80, 0x1234, 8080),
	}
}

func choose[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }
