package trace

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	of "sluice/datapath/openflow"
	"sluice/datapath/ovsrun"
	"sluice/datapath/ovstest"
	"sluice/flows"
	"sluice/flows/internal/worlds"
	"sluice/flows/simulate"
	"sluice/store"

	goovs "github.com/digitalocean/go-openvswitch/ovs"
	gocmp "github.com/google/go-cmp/cmp"
)

// switches are the hosts of a world as bridges of one Open vSwitch, with their compiled flows.
type switches struct {
	*ovstest.OVS
	t     *testing.T
	world *worlds.World
	ports map[string]map[string]uint32
	held  map[string][]of.Flow
}

func startSwitches(t *testing.T, w *worlds.World) *switches {
	t.Helper()
	s := &switches{OVS: ovstest.Start(t, "--enable-dummy"), t: t, world: w, ports: map[string]map[string]uint32{}, held: map[string][]of.Flow{}}
	for i, sw := range w.Switches() {
		s.add(i, sw)
	}
	return s
}

// add makes one host's bridge. Its tunnels have a UDP port of their own: Open vSwitch tells them
// apart by that.
func (s *switches) add(i int, sw flows.Switch) {
	s.t.Helper()
	bridge := sw.Host
	s.Change(func(c *ovsrun.Change) error {
		err := errors.Join(c.AddBridge(bridge), c.Also("set", "bridge", bridge, "datapath_type=dummy"),
			c.SetFailMode(bridge, goovs.FailModeSecure))
		for _, number := range sw.OFPort {
			port := fmt.Sprintf("h%dp%d", i, number)
			options, more := goovs.InterfaceOptions{Type: "dummy"}, "external_ids:a=b"
			if number == worlds.TunnelPort {
				options = goovs.InterfaceOptions{Type: goovs.InterfaceTypeVXLAN, RemoteIP: "flow", Key: "flow"}
				more = fmt.Sprint("options:dst_port=", 5000+i)
			}
			err = errors.Join(err, c.AddPort(bridge, port), c.Set.Interface(port, options),
				c.Also("set", "interface", port, fmt.Sprint("ofport_request=", number), more))
		}
		return err
	})
	list, _ := flows.Desired(s.world.State, sw)
	made := map[uint32]bool{}
	for j := range list {
		if m, ok := flows.MeterOf(s.world.State, &list[j]); ok && !made[m.ID] {
			made[m.ID] = true
			s.OFCtl("add-meter", bridge, fmt.Sprintf("meter=%d,pktps,burst,stats,bands=type=drop,rate=1000,burst_size=1000", m.ID))
		}
	}
	var text strings.Builder
	for _, f := range list {
		text.WriteString(f.String() + "\n")
	}
	file := s.Path("flows")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.OFCtl("add-flows", bridge, "--bundle", file)
	s.ports[bridge] = sw.OFPort
}

// tables are what a host's bridge holds, read back once.
func (s *switches) tables(host string) (Tables, error) {
	if list, known := s.held[host]; known {
		return Tables{Flows: list, Ports: s.ports[host]}, nil
	}
	var list []of.Flow
	for line := range strings.Lines(s.OFCtl("dump-flows", host, "--no-stats", "--no-names")) {
		if line = strings.TrimSpace(line); line == "" || strings.Contains(line, "OFPST_FLOW") {
			continue
		}
		f, err := of.ParseFlow(line)
		if err != nil {
			s.t.Fatalf("%s: %v", line, err)
		}
		list = append(list, f)
	}
	s.held[host] = list
	return Tables{Flows: list, Ports: s.ports[host]}, nil
}

// stepLine is one table in the output of ofproto/trace.
var stepLine = regexp.MustCompile(`^ *(\d+)\. (?:(.*), )?priority (\d+)(?:, cookie (0x[0-9a-f]+))?$`)

// noMatchLine is one in which no flow matches.
var noMatchLine = regexp.MustCompile(`^ *(\d+)\. No match\.$`)

// stepsOf are the tables that Open vSwitch says a frame visits, with the flow that it meets.
// Conntrack it does not look at: it takes each state for new, unless it is told what.
func (s *switches) stepsOf(host, frame string, states []string) (steps []string, text string) {
	args := []string{host, frame}
	for _, state := range states {
		args = append(args, "--ct-next", state)
	}
	text = s.Call("ofproto/trace", args...)
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if m := noMatchLine.FindStringSubmatch(line); m != nil {
			steps = append(steps, m[1]+": none")
		}
		m := stepLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		flow, err := of.ParseFlow(fmt.Sprintf("table=%s,priority=%s,cookie=%s,%s,actions=drop", m[1], m[3], cmp.Or(m[4], "0"), m[2]))
		if err != nil {
			s.t.Fatalf("%s: %v", line, err)
		}
		steps = append(steps, stepText(&flow))
	}
	return steps, text
}

// stepText is a flow without its actions.
func stepText(f *of.Flow) string {
	bare := of.Flow{Table: f.Table, Priority: f.Priority, Cookie: f.Cookie, Match: f.Match}
	return bare.String()
}

// frameText is a frame as ofproto/trace reads it.
func frameText(p *simulate.Packet) string {
	var m []of.MatchField
	for f := of.FieldInPort; f <= of.FieldNDOptionsType; f++ {
		if f >= of.FieldReg0 && f <= of.FieldXXReg3 || f == of.FieldVLANVID || f == of.FieldVLANPCP {
			continue
		}
		if v := p.Get(f); !v.IsZero() {
			m = append(m, of.IsValue(f, v))
		}
	}
	text := (&of.Flow{Match: of.NewMatch(m...)}).String()
	_, text, _ = strings.Cut(text, "priority=0,")
	text, _, _ = strings.Cut(text, " actions=")
	if strings.HasPrefix(text, "udp") { // for these ofproto/trace has other names than flows
		text = strings.ReplaceAll(text, ",tp_", ",udp_")
	}
	if strings.HasPrefix(text, "icmp6") {
		text = strings.ReplaceAll(text, ",icmp_", ",icmpv6_")
	}
	return text
}

// compare holds each step of a trace against ofproto/trace on the bridge where it happened.
func (s *switches) compare(q Question) (compared int) {
	s.t.Helper()
	t, err := Ask(s.world.State, all, q)
	if errors.Is(err, store.ErrInvalid) { // ports without an address of one family, tenants without a gateway
		return 0
	}
	if err != nil {
		s.t.Fatalf("%+v: %v", q, err)
	}
	t.Run(s.tables)
	for _, stage := range t.stages {
		for _, hop := range stage.walk.Hops {
			if hop.Result == nil {
				s.t.Fatalf("%+v: host %s was not read: %+v", q, hop.Host, stage.walk.Losses)
			}
			compared += s.compareHop(q, hop)
		}
	}
	return compared
}

func (s *switches) compareHop(q Question, hop simulate.Hop) int {
	s.t.Helper()
	frame := frameText(&hop.Result.Packet)
	want, text := s.stepsOf(hop.Host, frame, statesOf(hop.Result))
	var got []string
	for _, step := range hop.Result.Trace {
		if step.Flow == nil {
			got = append(got, fmt.Sprint(step.Table, ": none"))
		} else {
			got = append(got, stepText(step.Flow))
		}
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		s.t.Fatalf("%+v on %s: the frame %s takes other steps (-ofproto/trace +ours):\n%s\n%s", q, hop.Host, frame, diff, text)
	}
	return len(got)
}

// statesOf are the states in which conntrack found a packet, where one of them is not new.
func statesOf(r *simulate.Result) (states []string) {
	for _, step := range r.Trace {
		for _, note := range step.Notes {
			if _, state, tracked := strings.Cut(note, ": +"); tracked && strings.HasPrefix(note, "ct zone") {
				states = append(states, strings.ReplaceAll(state, "+", ","))
			}
		}
	}
	if !slices.ContainsFunc(states, func(s string) bool { return !strings.HasPrefix(s, "new") }) {
		return nil
	}
	return states
}

var agreeSeed = flag.Uint64("agree.seed", 0, "compare this one cluster alone")

// Each step of a trace over the flows of real switches is the one that ofproto/trace takes: over all pairs
// of the ports of random clusters, to the infrastructure and to the internet, and from there.
func TestAgreesWithOpenVSwitch(t *testing.T) {
	ovstest.Require(t)
	seeds := []uint64{*agreeSeed}
	if *agreeSeed == 0 {
		seeds = []uint64{rand.Uint64N(1 << 32)}
		for seed := range uint64(15) {
			seeds = append(seeds, seed)
		}
	}
	t.Logf("random seed %d; repeat one with -agree.seed", seeds[0])
	steps, questions := 0, 0
	for _, seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			s := startSwitches(t, worlds.New(seed))
			for _, q := range s.questions() {
				if n := s.compare(q); n > 0 {
					questions++
					steps += n
				}
			}
		})
	}
	t.Logf("%d steps of %d questions agree", steps, questions)
	if steps < 1000*len(seeds) {
		t.Errorf("only %d steps were compared", steps)
	}
}

// questions are those of all pairs of ports, and between each port and outside.
func (s *switches) questions() (list []Question) {
	for _, a := range s.world.Ports {
		from := nameOf(a.Key)
		for _, b := range s.world.Ports {
			for _, address := range b.Value.Addresses {
				to := address.Addr().String()
				list = append(list, Question{From: from, To: to}, Question{From: from, To: to, Proto: "tcp"}, Question{From: from, To: to, Proto: "arp"})
			}
			list = append(list, Question{From: from, To: nameOf(b.Key), Proto: "udp", DstPort: 53, TTL: 1})
		}
		for _, to := range []string{"203.0.113.1", "172.30.0.1", "192.0.2.3", "169.254.169.254", "10.0.0.1", "10.0.0.250", "10.0.0.255", "224.0.0.9", "ff02::9", "fd00:0::1", "2001:db8::1"} {
			list = append(list, Question{From: from, To: to, Proto: "udp"}, Question{From: from, To: to, Proto: "tcp", State: StateInvalid}, Question{From: from, To: to})
		}
		list = append(list, Question{From: Outside, To: from, Proto: "tcp"}, Question{From: Outside, To: from})
	}
	return list
}
