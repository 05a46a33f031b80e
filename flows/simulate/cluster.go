package simulate

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	of "sluice/datapath/openflow"
)

// Host is a switch with its place in a cluster.
type Host struct {
	Name   string
	Bridge *Bridge // nil: not known yet, see Cluster.Load
	VTEP   netip.Addr
	// Further are tunnel addresses besides VTEP. What goes to an address leaves from the first
	// of its family.
	Further []netip.Addr
	// Tunnel and Gateway are the numbers of the tunnel port, and of the port to the host's
	// kernel; 0: none.
	Tunnel, Gateway uint32
	// Trunked says that the host has a trunk, and Trunk is the number of its port; 0: the bridge has it not.
	Trunked bool
	Trunk   uint32
	// Ports are the numbers of all other ports, each with its container's name.
	Ports map[uint32]string
}

// Cluster is several switches whose tunnels reach each other. What goes to a kernel stays
// there: tests read it among the deliveries and answer with Send.
type Cluster struct {
	// Learned, where it is set, is the host that the switches of the trunk send a frame to; empty: to all, as those do that have
	// not seen its destination yet.
	Learned func(p *Packet) (host string)
	// Load, where it is set, gives a host its Bridge and ports, when the first frame enters a
	// host without; an error says why its tables are not known.
	Load  func(*Host) error
	hosts map[string]*Host
	vteps map[netip.Addr]*Host
}

// maxHops bounds how often one frame, with all its copies, may enter a switch.
const maxHops = 1024

// maxKey is the last tunnel key that every encapsulation carries.
const maxKey = 1<<24 - 1

// NewCluster joins hosts. Their names and tunnel addresses are to differ.
func NewCluster(hosts ...*Host) *Cluster {
	c := &Cluster{hosts: map[string]*Host{}, vteps: map[netip.Addr]*Host{}}
	for _, h := range hosts {
		c.hosts[h.Name] = h
		for _, vtep := range h.vteps() {
			c.vteps[vtep] = h
		}
	}
	return c
}

func (h *Host) vteps() []netip.Addr { return append([]netip.Addr{h.VTEP}, h.Further...) }

// source is the tunnel address from which the host sends to another; ok is false where it has
// none of that family.
func (h *Host) source(dst netip.Addr) (src netip.Addr, ok bool) {
	for _, vtep := range h.vteps() {
		if vtep.Is4() == dst.Is4() {
			return vtep, true
		}
	}
	return netip.Addr{}, false
}

// Host is the host of that name, or nil.
func (c *Cluster) Host(name string) *Host { return c.hosts[name] }

// Delivery is a frame that reached a container, or a kernel.
type Delivery struct {
	Hop     int // by its place in Walk.Hops
	Host    string
	Port    uint32
	Kernel  bool
	Packet  Packet
	Through []string // hosts, from the sender's to this
}

// Walk is all that became of one frame.
type Walk struct {
	Deliveries []Delivery
	Hops       []Hop
	Losses     []Loss
}

// Hop is a frame's way through one switch.
type Hop struct {
	Host   string
	From   int     // the hop that sent it, by its place in Walk.Hops; -1: none, it entered the cluster here
	Result *Result // nil: the tables of the host are not known
}

// Loss is a frame of which nothing more is known, or that left for nowhere.
type Loss struct {
	Hop     int  // where that was, by its place in Walk.Hops
	Unknown bool // the host's tables are not known, or hold a flow that is not simulated
	Err     error
}

// String is the walk as people read it, a switch at a time.
func (w *Walk) String() string {
	var b strings.Builder
	for _, h := range w.Hops {
		if h.Result == nil {
			fmt.Fprintf(&b, "host %s: not known\n", h.Host)
			continue
		}
		fmt.Fprintf(&b, "host %s, %s", h.Host, h.Result)
	}
	return b.String()
}

// transit is a frame on its way into a switch.
type transit struct {
	from    int
	host    *Host
	port    uint32
	trunk   bool // it comes by the trunk
	packet  Packet
	through []string
}

// Send lets a frame enter a host's switch by a port and follows every copy until it is
// delivered or dropped. A frame that circles, that leaves by a port which is not there, or
// for a tunnel address that no host has, is an error.
func (c *Cluster) Send(host string, port uint32, p Packet) (*Walk, error) {
	if c.hosts[host] == nil {
		return &Walk{}, fmt.Errorf("no host %q", host)
	}
	walk := c.Follow(host, port, p)
	for _, l := range walk.Losses {
		return walk, fmt.Errorf("host %s: %w\n%s", walk.Hops[l.Hop].Host, l.Err, walk)
	}
	return walk, nil
}

// Follow does the same for a host that is there, and goes on with all other copies of a frame
// that Send would call an error: that is a loss.
func (c *Cluster) Follow(host string, port uint32, p Packet) *Walk {
	walk := &Walk{}
	queue := []transit{{from: -1, host: c.hosts[host], port: port, packet: p}}
	for len(queue) > 0 {
		at := queue[0]
		if len(walk.Hops) == maxHops {
			walk.lose(at.from, fmt.Errorf("the frame entered %d switches: a loop?", maxHops))
			return walk
		}
		queue = append(queue[1:], c.hop(at, walk)...)
	}
	return walk
}

func (w *Walk) lose(hop int, err error) { w.Losses = append(w.Losses, Loss{Hop: hop, Err: err}) }

// hop runs one switch, notes what it delivers and returns what it sent to other switches.
func (c *Cluster) hop(at transit, walk *Walk) (sent []transit) {
	index := len(walk.Hops)
	walk.Hops = append(walk.Hops, Hop{Host: at.host.Name, From: at.from})
	result, err := c.run(&at)
	walk.Hops[index].Result = result
	if err != nil {
		walk.Losses = append(walk.Losses, Loss{Hop: index, Unknown: true, Err: err})
	}
	if result == nil {
		return nil
	}
	through := slices.Concat(at.through, []string{at.host.Name})
	for _, o := range result.Outputs {
		next, err := c.leave(at.host, o, Delivery{Hop: index, Through: through}, walk)
		if err != nil {
			walk.lose(index, err)
			continue
		}
		sent = append(sent, next...)
	}
	return sent
}

// Open loads the tables of a host, unless it has them.
func (c *Cluster) Open(host string) error {
	switch h := c.hosts[host]; {
	case h == nil:
		return fmt.Errorf("no host %q", host)
	case h.Bridge != nil:
		return nil
	case c.Load == nil:
		return fmt.Errorf("host %s has no tables", host)
	default:
		return c.Load(h)
	}
}

// run lets the frame pass its host's tables.
func (c *Cluster) run(at *transit) (*Result, error) {
	if err := c.Open(at.host.Name); err != nil {
		return nil, err
	}
	if at.trunk {
		at.port = at.host.Trunk
	} else if at.port == 0 { // by a tunnel, to a host whose ports were not known then
		at.port = at.host.Tunnel
	}
	return at.host.Bridge.Run(at.packet, at.port)
}

// leave takes a frame where its port leads: to a container or kernel, or into a tunnel.
func (c *Cluster) leave(from *Host, o Output, d Delivery, walk *Walk) ([]transit, error) {
	_, container := from.Ports[o.Port]
	kernel := o.Port == from.Gateway
	switch {
	case o.Port == from.Tunnel:
		t, err := c.tunnel(from, o.Packet)
		t.from, t.through = d.Hop, d.Through
		return []transit{t}, err
	case o.Port == from.Trunk && from.Trunk != 0:
		return c.trunk(from, o.Packet, d), nil
	case container || kernel:
		d.Host, d.Port, d.Kernel, d.Packet = from.Name, o.Port, kernel, o.Packet.Frame()
		walk.Deliveries = append(walk.Deliveries, d)
		return nil, nil
	case floods(o.Port):
		return c.flood(from, o, d, walk)
	}
	return nil, &StrayError{Host: from.Name, Output: o, Why: fmt.Sprintf("output to port %d, which is not there", o.Port)}
}

// trunk takes a frame to the hosts that are on the trunk besides.
func (c *Cluster) trunk(from *Host, p Packet, d Delivery) (sent []transit) {
	only := ""
	if c.Learned != nil {
		only = c.Learned(&p)
	}
	for _, name := range slices.Sorted(maps.Keys(c.hosts)) {
		h := c.hosts[name]
		if h.Trunked && h != from && (only == "" || only == name) {
			sent = append(sent, transit{from: d.Hop, host: h, trunk: true, packet: p.Frame(), through: d.Through})
		}
	}
	return sent
}

// flood takes a frame to all ports of a switch but the one that it came by. A tunnel without a
// destination takes none.
func (c *Cluster) flood(from *Host, o Output, d Delivery, walk *Walk) ([]transit, error) {
	ports := slices.Sorted(maps.Keys(from.Ports))
	if from.Gateway != 0 {
		ports = append(ports, from.Gateway)
	}
	if from.Tunnel != 0 && !(o.Packet.Get(of.FieldTunDst).IsZero() && o.Packet.Get(of.FieldTunIPv6Dst).IsZero()) {
		ports = append(ports, from.Tunnel)
	}
	var sent []transit
	for _, port := range ports {
		if port == o.In {
			continue
		}
		next, err := c.leave(from, Output{Port: port, Packet: o.Packet}, d, walk)
		if err != nil {
			return sent, err
		}
		sent = append(sent, next...)
	}
	return sent, nil
}

// StrayError says that a frame left a switch for where nobody of the cluster is.
type StrayError struct {
	Host   string
	Output Output
	Why    string
	// Underlay says that the frame is on its way to a tunnel address: it left the host.
	Underlay bool
}

func (e *StrayError) Error() string { return e.Why }

// tunnel carries a frame to the host whose tunnel address it names.
func (c *Cluster) tunnel(from *Host, p Packet) (transit, error) {
	v4, v6 := p.Get(of.FieldTunDst), p.Get(of.FieldTunIPv6Dst)
	dst := address(v4, false)
	if !v6.IsZero() {
		dst = address(v6, true)
	}
	if !v4.IsZero() && !v6.IsZero() {
		return transit{}, fmt.Errorf("tunnel to %s and to %s at once", address(v4, false), dst)
	}
	src, ok := from.source(dst)
	if !ok {
		return transit{}, fmt.Errorf("tunnel to %s from host %s, which has no address of that family", dst, from.Name)
	}
	if dst.IsUnspecified() {
		return transit{}, fmt.Errorf("tunnel to nowhere")
	}
	to := c.vteps[dst]
	switch {
	case to == from:
		return transit{}, fmt.Errorf("tunnel to %s, where no other host is", dst)
	case to == nil:
		return transit{}, &StrayError{Host: from.Name, Output: Output{Port: from.Tunnel, Packet: p}, Underlay: true,
			Why: fmt.Sprintf("tunnel to %s, where no other host is", dst)}
	}
	key := p.Uint(of.FieldTunID)
	if key > maxKey {
		return transit{}, fmt.Errorf("tunnel key %#x has more than the 24 bits of VXLAN and Geneve", key)
	}
	return transit{host: to, port: to.Tunnel, packet: p.Frame().Tunnelled(key, src, dst)}, nil
}
