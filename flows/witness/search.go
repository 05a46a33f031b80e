package witness

import (
	"fmt"
	"math/rand/v2"
	"strings"

	of "sluice/datapath/openflow"
	"sluice/flows/prove"
	"sluice/flows/simulate"
	"sluice/store"
)

// Counterexample is what shows that a law is broken.
type Counterexample struct {
	Law   string // one sentence
	Sends []Send // in order; the last one breaks it, those before make its connection
	Tries int    // how many were made until it was found
}

// Send is one frame that enters the cluster, and all that becomes of it.
type Send struct {
	From   Sender
	Packet simulate.Packet // with the tunnel's key and addresses, where it comes by tunnel
	Walk   *simulate.Walk
}

// String is the counterexample as people read it: the law, then each frame's walk, a switch at a time.
func (e *Counterexample) String() string {
	var b strings.Builder
	b.WriteString(e.Law + "\n")
	for _, s := range e.Sends {
		fmt.Fprintf(&b, "%s sends %s\n%s", s.From, &s.Packet, s.Walk)
	}
	return b.String()
}

// Budget bounds a search.
type Budget struct {
	Tries int    // frames, or short conversations, that are run
	Seed  uint64 // of what is drawn
}

// Search looks for frames that show what a finding says: that meet its flow, or what it should have refused,
// and break a law. Nil: it found none, which proves nothing. A finding whose flow is not in the tables may be asked
// for: then the frames are drawn as from its match.
func (c *Cluster) Search(f *prove.Finding, b Budget) *Counterexample {
	h := c.host(f.Host)
	if h == nil {
		return nil
	}
	return c.search(target{host: h, table: f.Flow.Table, match: f.Flow.Match, node: h.graph.node(&f.Flow), frames: f.Frames}, b)
}

// target is what the frames of a search are to meet.
type target struct {
	host   *host
	table  uint8
	match  of.Match
	node   *node    // the flow; nil: any of the table
	frames of.Match // some of those that match, which are of most interest
}

func (c *Cluster) search(t target, b Budget) *Counterexample {
	d := dice{rand.New(rand.NewPCG(b.Seed, 9))}
	var best *Counterexample
	for try := range b.Tries {
		if best != nil && (len(best.Sends) == 1 || try > best.Tries+simpler) {
			break
		}
		e, ok := c.draw(d, t)
		if !ok {
			continue
		}
		if found := c.attempt(d, e); found != nil && (best == nil || len(found.Sends) < len(best.Sends)) {
			found.Tries = try + 1
			best = found
		}
	}
	return best
}

// simpler is how many tries more a search makes for fewer frames, once it has found some.
const simpler = 40

// draw is an entry that leads to a target, or now and then any.
func (c *Cluster) draw(d dice, t target) (entry, bool) {
	const draws = 6
	if !d.often(8) {
		for range draws {
			if e, ok := c.towards(d, t); ok {
				return e, true
			}
		}
		return entry{}, false
	}
	if d.often(30) && len(c.words.everywhere) > 0 {
		return entry{pick(d, c.words.everywhere), known{}}, true
	}
	return c.enter(d, t.host, known{}, 1)
}

// conversation is what was sent so far; it ends where a law is broken.
type conversation struct {
	cluster *Cluster
	sends   []Send
	law     string
}

// send lets a frame enter and reports whether the conversation goes on.
func (v *conversation) send(from Sender, p simulate.Packet) *simulate.Walk {
	walk := v.cluster.sim.Follow(from.Host, from.Port, p)
	v.sends = append(v.sends, Send{from, p, walk})
	v.law = v.cluster.Broken(from, &p, walk)
	return walk
}

// attempt holds a conversation that begins with a frame from an entry.
func (c *Cluster) attempt(d dice, e entry) *Counterexample {
	for _, h := range c.hosts {
		h.bridge.Forget()
	}
	v := &conversation{cluster: c}
	switch {
	case e.from.Container != nil:
		v.converse(d, e.from, c.frame(d, e.from.Container.Value, e.need))
	case e.from.Outside:
		v.outside(d, e)
	case e.from.Resolver:
		v.send(c.resolves(d, e))
	case e.from.Trunk:
		v.send(e.from, c.onTrunk(d, e))
	default:
		if p, ok := c.strange(d, e); ok {
			v.send(e.from, p)
		}
	}
	if v.law == "" {
		return nil
	}
	return &Counterexample{Law: v.law, Sends: v.sends}
}

// converse sends a frame from a container. Where it leaves by a gateway, the outside answers, and the
// container and another that has the same addresses go on.
func (v *conversation) converse(d dice, from Sender, p simulate.Packet) {
	walk := v.send(from, p)
	left := kernels(walk)
	if v.law != "" || len(left) == 0 {
		return
	}
	v.answer(d, from, left[0], known{})
	if v.law == "" {
		v.send(from, p)
	}
	if twin, q, ok := v.cluster.twin(d, from, p); ok && v.law == "" {
		v.converse2(twin, q)
	}
}

// converse2 is of the other one: its frame and the answer.
func (v *conversation) converse2(from Sender, p simulate.Packet) {
	left := kernels(v.send(from, p))
	if v.law == "" && len(left) > 0 {
		v.reply(from, left[0].Host, simulate.Answer(left[0].Packet, store.KernelMAC))
	}
}

// kernels are the deliveries to kernels.
func kernels(w *simulate.Walk) (all []simulate.Delivery) {
	for _, d := range w.Deliveries {
		if d.Kernel {
			all = append(all, d)
		}
	}
	return all
}

// twin is a container of another tenant, and a container's frame as from there.
func (c *Cluster) twin(d dice, from Sender, p simulate.Packet) (Sender, simulate.Packet, bool) {
	var others []Sender
	for _, s := range c.words.everywhere {
		if s.Tenant != from.Tenant && owns(s.Container.Value, source(&p)) {
			others = append(others, s)
		}
	}
	if len(others) == 0 {
		return Sender{}, p, false
	}
	s := pick(d, others)
	p.SetUint(of.FieldEthSrc, s.Container.Value.MAC.Uint64())
	return s, p, true
}

// answer is what the outside sends back to what left; need is imposed on it, which may make it no answer.
func (v *conversation) answer(d dice, to Sender, left simulate.Delivery, need known) {
	a := simulate.Answer(left.Packet, store.KernelMAC)
	if d.often(20) {
		kernel := simulate.Endpoint{MAC: store.KernelMAC, IP: v.cluster.state.Transit().Kernel()}
		a = simulate.ICMPError(kernel, &left.Packet)
		a.SetUint(of.FieldEthDst, store.RouterMAC.Uint64())
	}
	imposed := need.impose(a)
	if !sameConnection(&imposed, &a) {
		to.Tenant = ""
	}
	v.reply(to, left.Host, imposed)
}

// sameConnection reports whether two frames belong to one: by what they quote, or by their own addresses and ports.
func sameConnection(p, q *simulate.Packet) bool {
	fields := []of.Field{of.FieldEthType, of.FieldIPDst, of.FieldIPSrc, of.FieldIPProto, of.FieldIPFrag, of.FieldTCPSrc, of.FieldTCPDst,
		of.FieldUDPSrc, of.FieldUDPDst}
	if p.Quoted != (simulate.Tuple{}) {
		fields = fields[:2]
	}
	for _, f := range fields {
		if p.Get(f) != q.Get(f) {
			return false
		}
	}
	return p.Quoted == q.Quoted
}

// reply sends a frame from outside, as an answer to a tenant.
func (v *conversation) reply(to Sender, host string, p simulate.Packet) {
	h := v.cluster.host(host)
	v.send(Sender{Host: host, Port: h.gateway, Outside: true, Tenant: to.Tenant}, p)
}

// outside sends from a kernel: an answer to a container that sent before, or what nobody asked for.
func (v *conversation) outside(d dice, e entry) {
	c := v.cluster
	state, _ := e.need[of.FieldCTState]
	const established, related = 2, 4
	asked := state.value.Lo&(established|related) != 0
	if all := c.words.everywhere; len(all) > 0 && (asked || d.often(30)) {
		s := pick(d, all)
		from, to := c.speaking(d, s.Container.Value, false), simulate.Endpoint{MAC: store.RouterMAC, IP: outside4, Port: 80}
		p := pick(d, []simulate.Packet{simulate.UDP(from, to), simulate.TCP(from, to, simulate.TCPSyn), simulate.ICMPEcho(from, to, 7)})
		left := kernels(v.send(s, p))
		if v.law == "" && len(left) > 0 {
			v.answer(d, s, left[0], e.need)
		}
		return
	}
	v.send(e.from, c.unasked(d, e))
}

// resolves is what a resolver sends: from the desk of a tenant for the most part.
func (c *Cluster) resolves(d dice, e entry) (Sender, simulate.Packet) {
	p := c.frame(d, nil, e.need)
	p.SetUint(of.FieldEthSrc, store.ResolverMAC.Uint64())
	if all := c.words.everywhere; len(all) > 0 && d.often(90) {
		at := c.state.Tenant(pick(d, all).Tenant)
		switch kind := p.Uint(of.FieldEthType); {
		case at == nil:
		case kind == typeIPv4:
			p.Set(of.FieldIPSrc, of.Address(store.Desk(at.Value.Number, source(&p))))
		case kind == typeIPv6:
			p.Set(of.FieldIPv6Src, of.Address(store.Desk(at.Value.Number, source(&p))))
		}
	}
	p = headless(e.need.impose(p))
	e.from.Tenant = c.deskOf(&p, of.FieldIPSrc, of.FieldIPv6Src)
	return e.from, p
}

// unasked is what comes from outside, to a tenant's transit address for the most part, and answers nothing.
func (c *Cluster) unasked(d dice, e entry) simulate.Packet {
	p := c.frame(d, nil, e.need)
	p.SetUint(of.FieldEthSrc, store.KernelMAC.Uint64())
	if _, ok := e.need[of.FieldIPDst]; !ok && p.Uint(of.FieldEthType) == typeIPv4 && d.often(70) {
		if transit := pick(d, c.words.far4); isTransit(c.state, transit) {
			p.Set(of.FieldIPDst, of.Address(transit))
		}
	}
	return headless(e.need.impose(p))
}

// onTrunk is what a stranger sends into the trunk: under the tag of a network for the most part.
func (c *Cluster) onTrunk(d dice, e entry) simulate.Packet {
	p := c.frame(d, nil, e.need)
	if _, asked := e.need[of.FieldVLANVID]; !asked && len(p.Tags()) == 0 && len(c.words.vlans) > 0 && !d.often(5) {
		p = p.Tag(pick(d, c.words.vlans))
	}
	return p
}

// strange is what comes from a tunnel address that no host has; ok is false where the entry asks for a host's.
func (c *Cluster) strange(d dice, e entry) (p simulate.Packet, ok bool) {
	p = c.frame(d, nil, e.need)
	src := stranger[0]
	if c.state.Host(e.from.Host).Value.VTEP().Is6() {
		src = stranger[1]
	}
	key, ok := e.need.exact(of.FieldTunID)
	if !ok {
		key = c.anyKey(d)
	}
	if _, asked := e.need[of.FieldVLANVID]; !asked && key == store.VLANTunnelKey && len(c.words.vlans) > 0 {
		p = p.Tag(pick(d, c.words.vlans))
	}
	p = p.Tunnelled(key, src, c.state.Host(e.from.Host).Value.VTEP())
	for _, f := range []of.Field{of.FieldTunSrc, of.FieldTunIPv6Src, of.FieldTunID} {
		if b, ok := e.need[f]; ok {
			p.Set(f, b.value.And(b.mask).Or(p.Get(f).And(b.mask.Xor(of.Ones(128)))))
		}
	}
	for _, a := range []bool{false, true} {
		f := of.FieldTunSrc
		if a {
			f = of.FieldTunIPv6Src
		}
		if from := address(p.Get(f), a); !from.IsUnspecified() && c.state.HostByVTEP(from) != nil {
			return p, false
		}
	}
	return p, true
}

// anyKey is a tunnel key of a network.
func (c *Cluster) anyKey(d dice) uint64 {
	keys := []uint64{store.VLANTunnelKey}
	for _, s := range c.words.everywhere {
		if n := c.state.Network(s.Container.Key.NetworkName()); n != nil && n.Value.Segmentation != store.SegmentationVLAN {
			keys = append(keys, uint64(n.Value.Number))
		}
	}
	return pick(d, keys)
}
