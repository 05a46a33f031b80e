package witness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	of "sluice/datapath/openflow"
	"sluice/datapath/ovsrun"
	"sluice/datapath/ovstest"
	"sluice/flows/internal/worlds"
	"sluice/flows/simulate"
	"sluice/store"

	goovs "github.com/digitalocean/go-openvswitch/ovs"
)

// Of the Open vSwitch that judges: a bridge for each host of a world, each with its containers' ports.
const (
	tracedHosts = 6
	tracedPorts = 64
)

// tracer is an Open vSwitch that holds the tables of a cluster, and says what it would do with frames.
type tracer struct {
	*ovstest.OVS
	t       *testing.T
	ofports map[string]map[uint64]uint32 // of each bridge, by the datapath's numbers
	said    string                       // by the traces of the last frame
	held    [tracedHosts][]of.Flow
}

// The underlay, to which alone the switch has a route.
var (
	underlay4 = netip.MustParsePrefix("172.30.0.0/24")
	underlay6 = netip.MustParsePrefix("fd30::/64")
)

func bridgeName(i int) string { return fmt.Sprintf("b%d", i) }

func newTracer(t *testing.T) *tracer {
	t.Helper()
	o := &tracer{OVS: ovstest.Start(t, "--enable-dummy"), t: t}
	o.Change(o.bridges)
	o.appctl("netdev-dummy/ip4addr", "phy", "172.30.0.250/24")
	o.appctl("netdev-dummy/ip6addr", "phy", "fd30::250/64")
	o.appctl("ovs/route/add", underlay4.String(), "phy")
	o.appctl("ovs/route/add", underlay6.String(), "phy")
	for i := range tracedHosts {
		o.appctl("tnl/arp/set", "phy", worlds.Addr("172.30.0.%d", i+1).String(), "02:00:00:00:ff:02")
		o.appctl("tnl/arp/set", "phy", worlds.Addr("fd30::%d", i+1).String(), "02:00:00:00:ff:02")
	}
	o.readPorts()
	return o
}

func (o *tracer) bridges(c *ovsrun.Change) error {
	dummy := func(bridge, name string, number int) error {
		return errors.Join(c.AddPort(bridge, name), c.Set.Interface(name, goovs.InterfaceOptions{Type: "dummy"}),
			c.Also("set", "interface", name, fmt.Sprint("ofport_request=", number)))
	}
	err := errors.Join(c.AddBridge("phy"), c.Also("set", "bridge", "phy", "datapath_type=dummy", "other_config:hwaddr=02:00:00:00:ff:01"),
		dummy("phy", "wire", 1))
	for i := range tracedHosts {
		b := bridgeName(i)
		err = errors.Join(err, c.AddBridge(b), c.Also("set", "bridge", b, "datapath_type=dummy"), c.SetFailMode(b, goovs.FailModeSecure),
			dummy(b, b+"gw", worlds.GatewayPort), dummy(b, b+"dns", worlds.ResolverPort), c.AddPort(b, b+"tun"),
			c.Set.Interface(b+"tun", goovs.InterfaceOptions{Type: goovs.InterfaceTypeVXLAN, RemoteIP: "flow", Key: "flow"}),
			c.Also("set", "interface", b+"tun", fmt.Sprint("ofport_request=", worlds.TunnelPort), fmt.Sprint("options:dst_port=", 4789+i)))
		for other := range tracedHosts { // all of them live, as the simulator takes them to be
			err = errors.Join(err, dummy(b, fmt.Sprint(b, "probe", other), worlds.ProbePort+other))
		}
		for n := 1; n <= tracedPorts; n++ {
			err = errors.Join(err, dummy(b, fmt.Sprintf("%sp%d", b, n), n))
		}
	}
	return err
}

// appctl calls ovs-vswitchd by its control socket: a process a call would take longer than all the rest.
func (o *tracer) appctl(command string, args ...string) string {
	o.t.Helper()
	conn, err := net.Dial("unix", o.Control())
	if err != nil {
		o.t.Fatal(err)
	}
	defer conn.Close()
	var reply struct{ Result, Error any }
	err = errors.Join(json.NewEncoder(conn).Encode(map[string]any{"method": command, "params": append([]string{}, args...), "id": 0}),
		json.NewDecoder(conn).Decode(&reply))
	if err != nil || reply.Error != nil {
		o.t.Fatalf("%s %v: %v %v", command, args, err, reply.Error)
	}
	text, _ := reply.Result.(string)
	return text
}

var shownPort = regexp.MustCompile(`^ +(\w+) (\d+)/(\d+):`)

// readPorts learns which numbers the datapath has for the bridges' ports.
func (o *tracer) readPorts() {
	o.ofports = map[string]map[uint64]uint32{}
	bridge := ""
	for line := range strings.Lines(o.appctl("dpif/show")) {
		if m := shownPort.FindStringSubmatch(line); m != nil {
			number, _ := strconv.ParseUint(m[2], 10, 32)
			dp, _ := strconv.ParseUint(m[3], 10, 32)
			if number == 65534 {
				number = uint64(of.PortLocal)
			}
			o.ofports[bridge][dp] = uint32(number)
			continue
		}
		bridge = strings.TrimSuffix(strings.TrimSpace(line), ":")
		o.ofports[bridge] = map[uint64]uint32{}
	}
}

// load makes the bridges hold the tables of a cluster's hosts; it reports false where the switch refuses a flow.
func (o *tracer) load(c []Tables) bool {
	for i := range c {
		if !o.replace(i, c[i].Flows) {
			return false
		}
	}
	return true
}

// replace sends a bridge the difference between what it holds and what it should.
func (o *tracer) replace(bridge int, list []of.Flow) bool {
	want, held := map[string]string{}, map[string]string{}
	for _, f := range list {
		want[identity(&f)] = withoutMeters(&f)
	}
	for _, f := range o.held[bridge] {
		held[identity(&f)] = withoutMeters(&f)
	}
	var text strings.Builder
	for _, f := range o.held[bridge] {
		if want[identity(&f)] == "" {
			line := (&of.Flow{Table: f.Table, Priority: f.Priority, Match: f.Match}).String()
			if f.Table == 0 { // to delete, none named means all
				line = "table=0," + line
			}
			fmt.Fprintf(&text, "delete_strict %s\n", strings.TrimSuffix(strings.TrimSpace(line), " actions=drop"))
		}
	}
	for _, f := range list {
		if id := identity(&f); held[id] != want[id] {
			fmt.Fprintf(&text, "add %s\n", want[id])
		}
	}
	if text.Len() == 0 {
		return true
	}
	file := o.Path("edit")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		o.t.Fatal(err)
	}
	sw := ovsrun.Switch{Dir: filepath.Dir(file), Control: o.Control()}
	if _, err := sw.OFCtl(context.Background(), "add-flows", bridgeName(bridge), file); err != nil {
		o.OFCtl("del-flows", bridgeName(bridge)) // some may be there
		o.held[bridge] = nil
		return false
	}
	o.held[bridge] = list
	return true
}

func identity(f *of.Flow) string { return string(f.AppendMatchKey(nil)) }

// withoutMeters is a flow as text; meters would have to be made first.
func withoutMeters(f *of.Flow) string {
	g := *f
	g.Flags = 0
	g.Actions = slices.DeleteFunc(slices.Clone(f.Actions), func(a of.Action) bool { _, ok := a.(of.Meter); return ok })
	return strings.TrimSpace(g.String())
}

// follow is simulate.Cluster.Follow, by what Open vSwitch says alone.
func (o *tracer) follow(c *Cluster, from Sender, p simulate.Packet) *simulate.Walk {
	o.said = ""
	walk := &simulate.Walk{}
	type arrival struct {
		host   *host
		port   uint32
		packet simulate.Packet
	}
	queue := []arrival{{c.host(from.Host), from.Port, p}}
	for len(queue) > 0 && len(walk.Hops) < 40 {
		at := queue[0]
		queue = queue[1:]
		walk.Hops = append(walk.Hops, simulate.Hop{Host: at.host.name, From: -1, Result: &simulate.Result{InPort: at.port, Packet: at.packet}})
		for _, out := range o.trace(slices.Index(c.hosts, at.host), at.port, at.packet) {
			switch to := at.host; {
			case out.tunnel.IsValid():
				if to = c.hostOf(out.tunnel); to == at.host {
					continue
				}
				if to == nil {
					walk.Losses = append(walk.Losses, simulate.Loss{Err: &simulate.StrayError{Host: at.host.name, Underlay: true, Why: "tunnel to " + out.tunnel.String()}})
					continue
				}
				if src, ok := c.sourceFor(at.host, out.tunnel); ok {
					queue = append(queue, arrival{to, to.tunnel, out.packet.Frame().Tunnelled(out.key, src, out.tunnel)})
				}
			case out.port == of.PortLocal:
				walk.Losses = append(walk.Losses, simulate.Loss{Err: &simulate.StrayError{Host: to.name, Output: simulate.Output{Port: out.port}}})
			case out.port == to.gateway, out.port == to.resolver, to.container(out.port) != nil:
				walk.Deliveries = append(walk.Deliveries, simulate.Delivery{Host: to.name, Port: out.port, Kernel: out.port == to.gateway, Packet: out.packet.Frame()})
			}
		}
	}
	return walk
}

// sourceFor is the address from which a host sends to another.
func (c *Cluster) sourceFor(h *host, dst netip.Addr) (netip.Addr, bool) {
	for _, a := range c.state.Host(h.name).Value.VTEPs {
		if a.Is4() == dst.Is4() {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// sent is a frame that left a bridge: by a port, or by tunnel to an address under a key.
type sent struct {
	packet simulate.Packet
	port   uint32
	tunnel netip.Addr
	key    uint64
}

// trace asks Open vSwitch what one bridge does with a frame.
func (o *tracer) trace(bridge int, port uint32, p simulate.Packet) []sent {
	name := bridgeName(bridge)
	text := o.appctl("ofproto/trace", name, traced(port, &p))
	o.said += text
	r := reader{ports: o.ofports[name], packet: p, waiting: map[string]simulate.Packet{}}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "recirc("):
			r.packet = r.waiting[strings.TrimSuffix(strings.Fields(line)[0], ",")]
		case strings.HasPrefix(line, "Modified flow: "):
			r.translate(strings.TrimPrefix(line, "Modified flow: "))
		case strings.HasPrefix(line, "Datapath actions: "):
			r.actions(strings.TrimPrefix(line, "Datapath actions: "))
		case strings.HasPrefix(line, "-> tunneling to "):
			if a, err := netip.ParseAddr(strings.Fields(line)[3]); err == nil {
				r.routed = append(r.routed, a)
			}
		}
	}
	for _, a := range r.routed { // on its way, though nobody there answers who has it
		if !slices.ContainsFunc(r.out, func(s sent) bool { return s.tunnel == a }) {
			r.out = append(r.out, sent{packet: p, tunnel: a})
		}
	}
	return r.out
}

// traceFields are the fields of a frame in the order in which Open vSwitch can read them.
var traceFields = []struct {
	field of.Field
	name  string
	kind  byte // of the value: m a MAC, 4 and 6 an address, d a number
}{
	{of.FieldTunID, "tun_id", 'd'}, {of.FieldTunSrc, "tun_src", '4'}, {of.FieldTunDst, "tun_dst", '4'}, {of.FieldTunIPv6Src, "tun_ipv6_src", '6'},
	{of.FieldTunIPv6Dst, "tun_ipv6_dst", '6'}, {of.FieldEthSrc, "eth_src", 'm'}, {of.FieldEthDst, "eth_dst", 'm'}, {of.FieldEthType, "eth_type", 'd'},
	{of.FieldIPSrc, "ip_src", '4'}, {of.FieldIPDst, "ip_dst", '4'}, {of.FieldIPv6Src, "ipv6_src", '6'}, {of.FieldIPv6Dst, "ipv6_dst", '6'},
	{of.FieldIPProto, "nw_proto", 'd'}, {of.FieldIPTTL, "nw_ttl", 'd'}, {of.FieldARPOp, "arp_op", 'd'}, {of.FieldARPSPA, "arp_spa", '4'},
	{of.FieldARPTPA, "arp_tpa", '4'}, {of.FieldARPSHA, "arp_sha", 'm'}, {of.FieldARPTHA, "arp_tha", 'm'}, {of.FieldTCPSrc, "tcp_src", 'd'},
	{of.FieldTCPDst, "tcp_dst", 'd'}, {of.FieldTCPFlags, "tcp_flags", 'd'}, {of.FieldUDPSrc, "udp_src", 'd'}, {of.FieldUDPDst, "udp_dst", 'd'},
	{of.FieldICMPType, "icmp_type", 'd'}, {of.FieldICMPCode, "icmp_code", 'd'}, {of.FieldICMPv6Type, "icmpv6_type", 'd'},
	{of.FieldICMPv6Code, "icmpv6_code", 'd'}, {of.FieldNDTarget, "nd_target", '6'}, {of.FieldNDSLL, "nd_sll", 'm'}, {of.FieldNDTLL, "nd_tll", 'm'},
}

// traced is a frame as ofproto/trace reads it.
func traced(port uint32, p *simulate.Packet) string {
	var b strings.Builder
	fmt.Fprintf(&b, "in_port=%d", port)
	for _, f := range traceFields {
		v := p.Get(f.field)
		if f.field == of.FieldEthType && len(p.Tags()) > 0 {
			fmt.Fprintf(&b, ",dl_vlan=%d,dl_vlan_pcp=%d", p.Tags()[0]&0xfff, p.Tags()[0]>>13)
		}
		switch {
		case v.IsZero() && f.field != of.FieldICMPType:
		case v.IsZero() && (p.Uint(of.FieldEthType) != typeIPv4 || p.Uint(of.FieldIPProto) != protoICMP || p.Uint(of.FieldIPFrag) == simulate.FragmentLater):
		case f.kind == 'm':
			fmt.Fprintf(&b, ",%s=%s", f.name, store.MACFromUint64(v.Lo))
		case f.kind == '4', f.kind == '6':
			fmt.Fprintf(&b, ",%s=%s", f.name, address(v, f.kind == '6'))
		default:
			fmt.Fprintf(&b, ",%s=%d", f.name, v.Lo)
		}
		if f.field == of.FieldIPTTL && p.Uint(of.FieldIPFrag) != 0 {
			b.WriteString(map[uint64]string{simulate.FragmentFirst: ",nw_frag=first", simulate.FragmentLater: ",nw_frag=later"}[p.Uint(of.FieldIPFrag)])
		}
	}
	return b.String()
}

// reader follows datapath actions.
type reader struct {
	ports   map[uint64]uint32
	packet  simulate.Packet
	waiting map[string]simulate.Packet // for the rest of the trace, behind connection tracking
	routed  []netip.Addr
	out     []sent
}

// split cuts a list at its own commas.
func split(text string) (parts []string) {
	depth, start := 0, 0
	for i, c := range text {
		switch {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			parts = append(parts, text[start:i])
			start = i + 1
		}
	}
	return append(parts, text[start:])
}

func inside(text string) (name, args string) {
	name, args, _ = strings.Cut(text, "(")
	return name, strings.TrimSuffix(args, ")")
}

func (r *reader) actions(text string) {
	for _, action := range split(text) {
		name, args := inside(action)
		switch name {
		case "set":
			kind, fields := inside(args)
			r.set(kind, fields)
		case "push_vlan":
			vid, _ := strconv.ParseUint(valueOf(args, "vid"), 0, 12)
			r.packet = r.packet.Tag(uint16(vid))
		case "pop_vlan":
			r.packet.Set(of.FieldVLANTCI, of.Value{})
		case "clone":
			before := r.packet
			r.actions(args)
			r.packet = before
		case "recirc":
			r.waiting[action] = r.packet
		case "tnl_push":
			r.push(args)
		default:
			r.output(name)
		}
	}
}

func (r *reader) output(number string) {
	dp, err := strconv.ParseUint(number, 10, 32)
	if port, ok := r.ports[dp]; err == nil && ok && port != worlds.TunnelPort {
		r.out = append(r.out, sent{packet: r.packet, port: port})
	}
}

func (r *reader) push(args string) {
	key, _ := strconv.ParseUint(pushedKey.FindStringSubmatch(args)[1], 0, 32)
	dst, _ := netip.ParseAddr(pushedTo.FindStringSubmatch(args)[1])
	r.out = append(r.out, sent{packet: r.packet, tunnel: dst, key: key})
}

var (
	pushedKey = regexp.MustCompile(`vni=(0x[0-9a-f]+|0)`)
	pushedTo  = regexp.MustCompile(`ipv[46]\(src=[^,]+,dst=([^,]+),`)
)

func valueOf(list, name string) string {
	for _, part := range split(list) {
		if key, value, ok := strings.Cut(part, "="); ok && key == name {
			return value
		}
	}
	return ""
}

// setNames are the fields that the datapath sets, as far as a law or a table looks at them.
var setNames = map[string]of.Field{
	"eth.src": of.FieldEthSrc, "eth.dst": of.FieldEthDst, "ipv4.src": of.FieldIPSrc, "ipv4.dst": of.FieldIPDst, "ipv4.ttl": of.FieldIPTTL,
	"ipv6.src": of.FieldIPv6Src, "ipv6.dst": of.FieldIPv6Dst, "ipv6.hlimit": of.FieldIPTTL, "arp.sip": of.FieldARPSPA, "arp.tip": of.FieldARPTPA,
	"arp.op": of.FieldARPOp, "arp.sha": of.FieldARPSHA, "arp.tha": of.FieldARPTHA,
	"icmpv6.type": of.FieldICMPv6Type, "nd.target": of.FieldNDTarget, "nd.sll": of.FieldNDSLL, "nd.tll": of.FieldNDTLL,
	"nd_ext.nd_options_type": of.FieldNDOptionsType, "nd_ext.nd_reserved": of.FieldNDReserved,
}

func (r *reader) set(kind, fields string) {
	for _, part := range split(fields) {
		key, value, _ := strings.Cut(part, "=")
		f, ok := setNames[kind+"."+key]
		if !ok {
			continue
		}
		if m, err := store.ParseMAC(value); err == nil {
			r.packet.SetUint(f, m.Uint64())
		} else if a, err := netip.ParseAddr(value); err == nil {
			r.packet.Set(f, of.Address(a))
		} else if n, err := strconv.ParseUint(value, 0, 64); err == nil {
			r.packet.SetUint(f, n)
		}
	}
}

// translate takes over what a trace says that NAT makes of a packet.
func (r *reader) translate(fields string) {
	for _, name := range []string{"nw_src", "nw_dst"} {
		f := map[string]of.Field{"nw_src": of.FieldIPSrc, "nw_dst": of.FieldIPDst}[name]
		if a, err := netip.ParseAddr(valueOf(fields, name)); err == nil && a.Is4() {
			r.packet.Set(f, of.Address(a))
		}
	}
	ports := map[string]of.Field{"tp_src": of.FieldTCPSrc, "tp_dst": of.FieldTCPDst}
	if r.packet.Uint(of.FieldIPProto) == of.ProtoUDP {
		ports = map[string]of.Field{"tp_src": of.FieldUDPSrc, "tp_dst": of.FieldUDPDst}
	}
	for name, f := range ports {
		if n, err := strconv.ParseUint(valueOf(fields, name), 10, 16); err == nil && n != 0 {
			r.packet.SetUint(f, n)
		}
	}
}
