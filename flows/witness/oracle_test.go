package witness

import (
	"iter"
	"net/netip"

	of "sluice/datapath/openflow"
	"sluice/flows/simulate"
	"sluice/store"
)

// oracle sends frames of all sorts from everybody, and looks at no flow: a naive twin of the search.
type oracle struct{ *Cluster }

// violation is the first harm that any of its frames does; nil: none does any.
func (o oracle) violation() *Counterexample {
	for _, s := range o.words.everywhere {
		for p := range o.frames(s) {
			if v := o.alone(s, p); v != nil {
				return v
			}
		}
		for p := range o.egress(s) {
			if v := o.conversation(s, p); v != nil {
				return v
			}
		}
	}
	for _, h := range o.hosts {
		for p := range o.fromOutside() {
			if v := o.alone(Sender{Host: h.name, Port: h.gateway, Outside: true}, p); v != nil {
				return v
			}
		}
		for p := range o.fromStrangers(h) {
			if v := o.alone(Sender{Host: h.name, Port: h.tunnel}, p); v != nil {
				return v
			}
		}
	}
	return nil
}

// alone sends one frame into a cluster without connections.
func (o oracle) alone(from Sender, p simulate.Packet) *Counterexample {
	for _, h := range o.hosts {
		h.bridge.Forget()
	}
	v := &conversation{cluster: o.Cluster}
	if v.send(from, p); v.law != "" {
		return &Counterexample{Law: v.law, Sends: v.sends}
	}
	return nil
}

// conversation sends a frame that should leave, its answers, and the same from everybody else who has these addresses.
func (o oracle) conversation(from Sender, p simulate.Packet) *Counterexample {
	for _, h := range o.hosts {
		h.bridge.Forget()
	}
	v := &conversation{cluster: o.Cluster}
	left := kernels(v.send(from, p))
	if len(left) > 0 && v.law == "" {
		kernel := simulate.Endpoint{MAC: store.KernelMAC, IP: o.state.Transit().Kernel()}
		failure := simulate.ICMPError(kernel, &left[0].Packet)
		failure.SetUint(of.FieldEthDst, store.RouterMAC.Uint64())
		for _, a := range []simulate.Packet{simulate.Answer(left[0].Packet, store.KernelMAC), failure} {
			if v.law == "" {
				v.reply(from, left[0].Host, a)
			}
		}
		if v.law == "" {
			v.send(from, p)
		}
	}
	for _, s := range o.words.everywhere {
		if s.Tenant != from.Tenant && owns(s.Container.Value, source(&p)) && v.law == "" {
			q := p
			q.SetUint(of.FieldEthSrc, s.Container.Value.MAC.Uint64())
			v.converse2(s, q)
		}
	}
	if v.law == "" {
		return nil
	}
	return &Counterexample{Law: v.law, Sends: v.sends}
}

// ends are where a frame may go: each MAC with each address that makes sense with it.
func (o oracle) ends(v6 bool) (all []simulate.Endpoint) {
	near, far := o.words.v4, o.words.far4
	if v6 {
		near, far = o.words.v6, o.words.far6
	}
	for _, s := range o.words.everywhere {
		for _, sp := range speakers(s.Container.Value) {
			for _, p := range sp.prefixes {
				if p.Addr().Is6() == v6 {
					all = append(all, simulate.Endpoint{MAC: sp.mac, IP: p.Addr(), Port: 80})
				}
			}
		}
	}
	for _, a := range append(near[:len(near):len(near)], far...) {
		all = append(all, simulate.Endpoint{MAC: store.RouterMAC, IP: a, Port: 80})
	}
	for _, m := range []store.MAC{simulate.Broadcast, {1, 0, 0x5e, 0, 0, 9}, {0x33, 0x33, 0, 0, 0, 1}, store.HandOverMAC, store.BounceMAC,
		store.KernelMAC, {2, 9, 9, 9, 9, 9}} {
		all = append(all, simulate.Endpoint{MAC: m, IP: far[len(far)-1], Port: 80}, simulate.Endpoint{MAC: m, IP: outsideOf(v6), Port: 80})
	}
	return all
}

func outsideOf(v6 bool) netip.Addr {
	if v6 {
		return outside6
	}
	return outside4
}

// sources are as whom a port may speak, and as whom it may not.
func (o oracle) sources(p *store.Port, v6 bool) (all []simulate.Endpoint) {
	for _, sp := range speakers(p) {
		for _, x := range sp.prefixes {
			if x.Addr().Is6() == v6 {
				all = append(all, simulate.Endpoint{MAC: sp.mac, IP: x.Addr(), Port: 4000})
			}
		}
	}
	near := o.words.v4
	if v6 {
		near = o.words.v6
	}
	for _, a := range near {
		all = append(all, simulate.Endpoint{MAC: p.MAC, IP: a, Port: 4000})
	}
	if len(all) > 0 {
		own := all[0]
		for _, m := range append(o.words.macs[:len(o.words.macs):len(o.words.macs)], store.RouterMAC, store.KernelMAC) {
			all = append(all, simulate.Endpoint{MAC: m, IP: own.IP, Port: 4000})
		}
	}
	all = append(all, simulate.Endpoint{MAC: p.MAC, IP: outsideOf(v6), Port: 4000})
	if !v6 {
		all = append(all, simulate.Endpoint{MAC: p.MAC, IP: o.state.Transit().Address(1), Port: 4000},
			simulate.Endpoint{MAC: p.MAC, IP: netip.IPv4Unspecified(), Port: 4000})
	}
	return all
}

// frames are what a container may try.
func (o oracle) frames(s Sender) iter.Seq[simulate.Packet] {
	return func(yield func(simulate.Packet) bool) {
		for _, v6 := range []bool{false, true} {
			all := o.ends(v6)
			few := o.fewEnds(s, all)
			for i, from := range o.sources(s.Container.Value, v6) {
				ends := all
				if i > 0 {
					ends = few
				}
				for _, to := range ends {
					if !yield(simulate.UDP(from, to)) {
						return
					}
					if i == 0 && !o.kinds(from, to, yield) {
						return
					}
				}
				if i == 0 && !o.questions(from, v6, yield) {
					return
				}
				if i > 0 && !o.lies(from, few, yield) {
					return
				}
			}
		}
	}
}

// fewEnds are two neighbours, everybody, and the internet.
func (o oracle) fewEnds(s Sender, all []simulate.Endpoint) (few []simulate.Endpoint) {
	for p := range o.state.PortsOf(s.Container.Key.NetworkName()) {
		if p != s.Container && len(few) < 2 {
			few = append(few, simulate.Endpoint{MAC: p.Value.MAC, IP: all[0].IP, Port: 80})
		}
	}
	for _, m := range []store.MAC{simulate.Broadcast, store.RouterMAC} {
		few = append(few, simulate.Endpoint{MAC: m, IP: outsideOf(all[0].IP.Is6()), Port: 80})
	}
	return few
}

// kinds are frames of all sorts from one end to another.
func (o oracle) kinds(from, to simulate.Endpoint, yield func(simulate.Packet) bool) bool {
	server, client := from, to
	server.Port, client.Port = 67, 68
	list := []simulate.Packet{simulate.TCP(from, to, simulate.TCPSyn), simulate.TCP(from, to, simulate.TCPAck), simulate.ICMPEcho(from, to, 7),
		simulate.IP(from, to, 132), simulate.UDP(server, to), simulate.UDP(from, client), simulate.Ethernet(from.MAC, to.MAC, 0x88b5)}
	if from.IP.Is6() {
		server.Port, client.Port = 547, 546
		list = append(list, simulate.UDP(server, to), simulate.UDP(from, client), simulate.IP(from, to, 0))
		for _, kind := range []uint64{130, 131, 132, 133, icmp6Router, icmp6Mend, 143} {
			p := simulate.ICMPEcho(from, to, 7)
			p.SetUint(of.FieldICMPv6Type, kind)
			list = append(list, p)
		}
	}
	for _, kind := range []uint64{simulate.FragmentFirst, simulate.FragmentLater} {
		p := simulate.UDP(from, to)
		p.SetUint(of.FieldIPFrag, kind)
		list = append(list, p)
		p = simulate.ICMPEcho(from, to, 7)
		p.SetUint(of.FieldIPFrag, kind)
		list = append(list, p)
	}
	for _, vlan := range append(o.words.vlans[:len(o.words.vlans):len(o.words.vlans)], 0) {
		list = append(list, simulate.UDP(from, to).Tag(vlan))
	}
	short := simulate.UDP(from, to)
	short.SetUint(of.FieldIPTTL, 1)
	for _, p := range append(list, short) {
		if !yield(p) {
			return false
		}
	}
	return true
}

// lies are ARP replies and advertisements, which say who one is.
func (o oracle) lies(from simulate.Endpoint, to []simulate.Endpoint, yield func(simulate.Packet) bool) bool {
	for _, e := range to {
		p := simulate.ARPReply(from, e)
		if from.IP.Is6() {
			p = simulate.NeighbourAdvertisement(from, e)
		}
		if !yield(p) {
			return false
		}
	}
	return true
}

// questions are ARP and neighbour discovery.
func (o oracle) questions(from simulate.Endpoint, v6 bool, yield func(simulate.Packet) bool) bool {
	if !v6 {
		for _, a := range append(o.words.v4[:len(o.words.v4):len(o.words.v4)], o.words.far4...) {
			if !yield(simulate.ARPRequest(from, a)) || !yield(simulate.ARPReply(from, simulate.Endpoint{MAC: simulate.Broadcast, IP: a})) {
				return false
			}
		}
		for _, m := range o.words.macs {
			if !yield(simulate.ARPReply(from, simulate.Endpoint{MAC: m, IP: o.words.v4[0]})) {
				return false
			}
		}
		return true
	}
	for _, a := range o.words.v6 {
		search := simulate.NeighbourSolicitation(simulate.Endpoint{MAC: from.MAC, IP: netip.IPv6Unspecified()}, a)
		search.SetUint(of.FieldNDOptionsType, 0)
		search.SetUint(of.FieldNDSLL, 0)
		lie := simulate.NeighbourSolicitation(from, a)
		lie.SetUint(of.FieldNDSLL, 0x020909090909)
		if !yield(simulate.NeighbourSolicitation(from, a)) || !yield(search) || !yield(lie) {
			return false
		}
	}
	for _, m := range append(o.words.macs[:len(o.words.macs):len(o.words.macs)], store.MAC{0x33, 0x33, 0, 0, 0, 1}) {
		to := simulate.Endpoint{MAC: m, IP: netip.MustParseAddr("ff02::1")}
		lie := simulate.NeighbourAdvertisement(from, to)
		lie.SetUint(of.FieldNDTLL, 0x020909090909)
		if !yield(simulate.NeighbourAdvertisement(from, to)) || !yield(lie) {
			return false
		}
	}
	return true
}

// egress is what a container sends to the internet.
func (o oracle) egress(s Sender) iter.Seq[simulate.Packet] {
	return func(yield func(simulate.Packet) bool) {
		for _, from := range o.sources(s.Container.Value, false)[:1] {
			to := simulate.Endpoint{MAC: store.RouterMAC, IP: outside4, Port: 80}
			for _, p := range []simulate.Packet{simulate.UDP(from, to), simulate.TCP(from, to, simulate.TCPSyn), simulate.TCP(from, to, simulate.TCPAck),
				simulate.ICMPEcho(from, to, 7)} {
				if !yield(p) {
					return
				}
			}
		}
	}
}

// fromOutside is what comes by a kernel and nobody asked for.
func (o oracle) fromOutside() iter.Seq[simulate.Packet] {
	return func(yield func(simulate.Packet) bool) {
		from := simulate.Endpoint{MAC: store.KernelMAC, IP: outside4, Port: 80}
		for _, v6 := range []bool{false, true} {
			if v6 {
				from.IP = outside6
			}
			for _, to := range o.ends(v6) {
				to.Port = 4000
				for _, p := range []simulate.Packet{simulate.UDP(from, to), simulate.TCP(from, to, simulate.TCPSyn), simulate.TCP(from, to, simulate.TCPAck),
					simulate.ICMPEcho(from, to, 7)} {
					if !yield(p) {
						return
					}
				}
			}
		}
		for _, a := range append(o.words.v4[:len(o.words.v4):len(o.words.v4)], o.words.far4...) {
			if from.IP = outside4; !yield(simulate.ARPRequest(from, a)) {
				return
			}
		}
	}
}

// fromStrangers is what comes by tunnel from addresses that no host has.
func (o oracle) fromStrangers(h *host) iter.Seq[simulate.Packet] {
	return func(yield func(simulate.Packet) bool) {
		inner := simulate.Endpoint{MAC: store.MAC{2, 9, 9, 9, 9, 9}, IP: outside4, Port: 80}
		for _, src := range stranger[:1] {
			for _, to := range o.ends(false) {
				for t := range o.state.Tenants() {
					for n := range o.state.NetworksOf(t.Key.Tenant) {
						p, key := simulate.UDP(inner, to), uint64(n.Value.Number)
						if n.Value.Segmentation == store.SegmentationVLAN {
							p, key = p.Tag(uint16(n.Value.Segment)), store.VLANTunnelKey
						}
						if !yield(p.Tunnelled(key, src, o.state.Host(h.name).Value.VTEP())) {
							return
						}
					}
				}
			}
		}
	}
}
