package simulate

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// exchange is a conversation through testdata/nat.flows: it remembers the last packet
// that left each way, as its ends would.
type exchange struct {
	r          *rand.Rand
	port       uint32 // of the end that begins
	first      Packet
	seen       *Packet // what the far end saw last
	seenBefore bool
}

// TestConntrackAsInOpenVSwitch lets conversations begin, repeat, be answered, fail, end
// and begin again in any interleaving.
func TestConntrackAsInOpenVSwitch(t *testing.T) {
	unmet := map[uint64]int{}
	var o *oracle
	for _, seed := range seeds {
		o = newOracle(t, "nat.flows")
		t.Logf("seed %d", seed)
		r := rand.New(rand.NewPCG(seed, 0))
		var all []*exchange
		for range 30 {
			all = append(all, newExchange(r), newStray(r))
		}
		for range 1000 {
			e := choose(r, all...)
			o.step(e.next())
			if t.Failed() {
				return
			}
			e.see(o.last)
		}
		for _, cookie := range o.finish() {
			unmet[cookie]++
		}
	}
	for cookie, runs := range unmet {
		if runs == len(seeds) {
			t.Errorf("no packet met %s", o.flows[cookie])
		}
	}
}

var (
	outside  = Endpoint{MAC: store.MAC{2, 0, 0, 0, 0, 0xee}, IP: netip.MustParseAddr("203.0.113.1"), Port: 80}
	outside6 = Endpoint{MAC: outside.MAC, IP: netip.MustParseAddr("2001:db8::1"), Port: 80}
	closed   = Endpoint{MAC: outside.MAC, IP: netip.MustParseAddr("172.30.0.9"), Port: 80}
)

func newExchange(r *rand.Rand) *exchange {
	e := &exchange{r: r, port: choose[uint32](r, 1, 1, 1, 2, 2, 3, 3, 3, 200)}
	from, to := randomEndpoint(r, "10.0.0."), choose(r, outside, outside, outside, closed)
	from.Port = choose[uint16](r, 4000, 4001)
	switch {
	case e.port == 3 && r.IntN(2) > 0:
		from, to = randomEndpoint(r, "fd00::"), outside6
	case e.port == 200:
		from = Endpoint{MAC: outside.MAC, IP: outside.IP, Port: choose[uint16](r, 4000, 4001, 4002)}
		to = Endpoint{MAC: store.RouterMAC, IP: netip.MustParseAddr("100.64.0.7"), Port: 8080}
		e.first = TCP(from, to, TCPSyn)
		return e
	}
	e.first = choose(r, TCP(from, to, TCPSyn), TCP(from, to, TCPSyn), TCP(from, to, TCPAck), UDP(from, to),
		ICMPEcho(from, to, choose[uint16](r, 1, 2)), IP(from, to, 47))
	return e
}

// newStray is an exchange that begins with what no end would send first, or that the tables
// let nobody begin.
func newStray(r *rand.Rand) *exchange {
	from, to := Endpoint{outside.MAC, outside.IP, 4000}, Endpoint{store.RouterMAC, netip.MustParseAddr("100.64.0.7"), 9000}
	if r.IntN(2) == 0 {
		from, to = outside6, randomEndpoint(r, "fd00::")
	}
	flags := choose[uint16](r, 0, TCPSyn, TCPSyn|TCPAck, TCPSyn|TCPFin)
	return &exchange{
		r: r, port: choose[uint32](r, 1, 3, 200, 200),
		first: choose(r, TCP(from, to, flags), TCP(from, to, flags), UDP(from, to), Answer(ICMPEcho(to, from, 9), from.MAC)),
	}
}

// next is the first packet, again or for the first time, or what follows what was seen.
func (e *exchange) next() arrival {
	back := uint32(200)
	if e.port == 200 {
		back = 1
	}
	a := arrival{port: e.port, packet: e.first, seq: sequence{number: 1000}}
	switch {
	case e.seen == nil:
	case e.r.IntN(8) == 0:
		router := outside
		if e.seen.isIPv6() {
			router = outside6
		}
		a.port, a.packet = back, ICMPError(router, e.seen)
		if a.packet.isICMP() {
			a.packet.SetUint(of.FieldICMPType, choose[uint64](e.r, icmpTimeExceeded, icmpUnreachable))
			if e.r.IntN(4) == 0 { // to another than the sender of what it quotes
				a.packet.Set(of.FieldIPDst, of.Address(closed.IP))
			}
		}
	case e.r.IntN(2) == 0:
		a.port, a.packet, a.seq = back, Answer(*e.seen, outside.MAC), sequence{2000, 1001}
	case e.seenBefore && e.first.isTCP():
		a.packet.SetUint(of.FieldTCPFlags, TCPAck)
		a.seq = sequence{1001, 2001}
	}
	return a
}

// see notes what came of the packet last sent.
func (e *exchange) see(r *Result) {
	if r.InPort != e.port || len(r.Outputs) != 1 {
		e.seenBefore = e.seenBefore || len(r.Outputs) == 1
		return
	}
	e.seen = &r.Outputs[0].Packet
}
