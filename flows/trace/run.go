package trace

import (
	"fmt"
	"net/netip"

	of "sluice/datapath/openflow"
	"sluice/flows/simulate"
	"sluice/store"
)

// Tables are what a host's switch holds, or should.
type Tables struct {
	Flows []of.Flow
	Ports map[string]uint32 // interface name -> OpenFlow port
}

// stage is one packet's walk.
type stage struct {
	about  string
	host   string
	iface  string
	packet simulate.Packet
	walk   *simulate.Walk
	// ports names the interfaces of each host that the packet entered, by OpenFlow port.
	ports map[string]map[uint32]string
}

// runner lets the packets of one question walk.
type runner struct {
	*Trace
	cluster *simulate.Cluster
	ports   map[string]map[uint32]string
	failed  map[string]error // hosts whose tables are not known
}

// Run lets the packets walk. It asks for the tables of each host that they enter, once; an error
// says why they are not known.
func (t *Trace) Run(tables func(host string) (Tables, error)) {
	hosts := make([]*simulate.Host, len(t.hosts))
	for i := range t.hosts {
		hosts[i] = &t.hosts[i]
	}
	r := &runner{Trace: t, cluster: simulate.NewCluster(hosts...), ports: map[string]map[uint32]string{}, failed: map[string]error{}}
	r.cluster.Learned = r.trunks.learned
	r.cluster.Load = func(h *simulate.Host) error { return r.load(h, tables) }
	r.run()
}

// load gives a host its tables and ports.
func (r *runner) load(h *simulate.Host, tables func(string) (Tables, error)) error {
	if err := r.failed[h.Name]; err != nil {
		return err
	}
	tb, err := tables(h.Name)
	if err != nil {
		r.failed[h.Name] = err
		return err
	}
	h.Bridge, h.Tunnel, h.Gateway, h.Ports = simulate.Load(tb.Flows), tb.Ports[store.TunnelInterface], tb.Ports[store.GatewayInterface], map[uint32]string{}
	names := map[uint32]string{}
	for name, number := range tb.Ports {
		names[number] = name
		if h.Trunked && name == r.trunks.interfaces[h.Name] {
			h.Trunk = number
		} else if number != h.Tunnel && number != h.Gateway {
			h.Ports[number] = name
		}
	}
	r.ports[h.Name] = names
	return nil
}

// run sends what was asked for, after what must come before it.
func (r *runner) run() {
	packet, ok := r.prepare()
	if !ok {
		return
	}
	from := r.from
	if s := r.last(); s != nil && !from.isPort() && r.State != StateNew && r.State != StateInvalid {
		from.host = s.walk.Deliveries[0].Host // where the connection left
	}
	r.send("", &from, packet)
	r.whole = true
}

// prepare makes the packet that was asked for. It reports false where what must come before
// did not arrive: that is the answer then.
func (r *runner) prepare() (p simulate.Packet, ok bool) {
	opener, other := &r.from, &r.to
	if r.isAnswer() {
		opener, other = other, opener
	}
	if r.proto == 0 {
		return neighbour(r.from.endpoint(0), r.to.ip), true
	}
	mac, ok := r.resolve(opener)
	if !ok {
		return p, false
	}
	first := r.packet(opener, other, mac)
	switch r.State {
	case StateNew:
		return first, true
	case StateInvalid:
		return spoil(first), true
	}
	return r.later(opener, other, first)
}

// later opens a connection and makes the packet that was asked for of what came of that.
func (r *runner) later(opener, other *end, first simulate.Packet) (p simulate.Packet, ok bool) {
	arrived, ok := r.arrives("the packet that opens the connection", opener, other, first)
	if !ok {
		return p, false
	}
	answer := simulate.Answer(arrived.Packet, arrivalMAC(arrived, other))
	if opener != &r.from { // the answer, or an error instead of it
		if r.State == StateRelated {
			return r.icmpError(&arrived.Packet, answer), true
		}
		answer.SetUint(of.FieldIPTTL, uint64(r.TTL))
		return answer, true
	}
	answerer := *other
	answerer.host = arrived.Host
	if !answerer.isPort() {
		answerer.iface = store.GatewayInterface
	}
	back, ok := r.arrives("the answer", &answerer, opener, answer)
	if !ok {
		return p, false
	}
	if r.State == StateRelated {
		return r.icmpError(&back.Packet, first), true
	}
	if r.proto == protoTCP {
		first.SetUint(of.FieldTCPFlags, simulate.TCPAck)
	}
	return first, true
}

// icmpError is what From sends about a packet that it got: like is how it reaches the sender.
func (r *runner) icmpError(about *simulate.Packet, like simulate.Packet) simulate.Packet {
	from := r.from.endpoint(0)
	p := simulate.ICMPError(from, about)
	p.Set(of.FieldEthDst, like.Get(of.FieldEthDst))
	p.SetUint(of.FieldIPTTL, uint64(r.TTL))
	return p
}

func arrivalMAC(d simulate.Delivery, e *end) store.MAC {
	if d.Kernel {
		return store.KernelMAC
	}
	return e.mac
}

// arrives sends a packet that must come before, and reports whether the other end alone got it.
func (r *runner) arrives(about string, from, to *end, p simulate.Packet) (d simulate.Delivery, ok bool) {
	walk := r.send(about, from, p)
	if walk == nil || len(walk.Deliveries) != 1 {
		return d, false
	}
	d = walk.Deliveries[0]
	if to.isPort() {
		return d, d.Host == to.host && r.ports[d.Host][d.Port] == to.iface
	}
	return d, d.Kernel
}

// resolve finds the MAC of an end's next hop as its kernel does, by asking for it.
func (r *runner) resolve(e *end) (store.MAC, bool) {
	if !e.next.ask.IsValid() {
		return e.next.mac, true
	}
	question := neighbour(e.endpoint(0), e.next.ask)
	walk := r.send("the question who has "+e.next.ask.String(), e, question)
	if walk == nil {
		return store.MAC{}, false
	}
	for _, d := range walk.Deliveries {
		if d.Kernel {
			continue
		}
		if d.Host == e.host && r.ports[d.Host][d.Port] == e.iface {
			if mac, ok := answeredMAC(&d.Packet, e.next.ask); ok {
				return mac, true
			}
		}
	}
	return r.solicited(e, walk)
}

// solicited lets the port that got an IPv6 question answer it, where it is the one asked for.
func (r *runner) solicited(e *end, walk *simulate.Walk) (store.MAC, bool) {
	other := &r.to
	if e == other {
		other = &r.from
	}
	if !e.next.ask.Is6() || other.ip != e.next.ask || len(walk.Deliveries) != 1 {
		return store.MAC{}, false
	}
	if d := walk.Deliveries[0]; d.Host != other.host || r.ports[d.Host][d.Port] != other.iface {
		return store.MAC{}, false
	}
	answer := simulate.NeighbourAdvertisement(other.endpoint(0), e.endpoint(0))
	d, ok := r.arrives("the answer to that question", other, e, answer)
	if !ok {
		return store.MAC{}, false
	}
	return answeredMAC(&d.Packet, e.next.ask)
}

// answeredMAC is the MAC that an answer says for an address.
func answeredMAC(p *simulate.Packet, asked netip.Addr) (store.MAC, bool) {
	if asked.Is4() {
		return store.MACFromUint64(p.Uint(of.FieldARPSHA)), p.Uint(of.FieldARPOp) == arpReply
	}
	return store.MACFromUint64(p.Uint(of.FieldNDTLL)), p.Uint(of.FieldICMPv6Type) == neighbourAdvertisement
}

// send lets a packet enter where an end is. Nil: it has no way in, which the stage says.
func (r *runner) send(about string, from *end, p simulate.Packet) *simulate.Walk {
	s := stage{about: about, host: from.host, iface: from.iface, packet: p, ports: r.ports}
	port, err := r.entry(from)
	if err != nil {
		s.walk = &simulate.Walk{Hops: []simulate.Hop{{Host: from.host, From: -1}}, Losses: []simulate.Loss{{Unknown: r.failed[from.host] != nil, Err: err}}}
		r.stages = append(r.stages, s)
		return nil
	}
	s.walk = r.cluster.Follow(from.host, port, p)
	r.stages = append(r.stages, s)
	return s.walk
}

// entry is the OpenFlow port by which an end sends.
func (r *runner) entry(from *end) (uint32, error) {
	if err := r.cluster.Open(from.host); err != nil {
		return 0, err
	}
	for number, name := range r.ports[from.host] {
		if name == from.iface {
			return number, nil
		}
	}
	return 0, fmt.Errorf("its switch has no interface %s, by which the packet would enter: see sluice host show %s", from.iface, from.host)
}

func (t *Trace) last() *stage {
	if len(t.stages) == 0 {
		return nil
	}
	return &t.stages[len(t.stages)-1]
}
