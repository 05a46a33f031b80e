package witness

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	of "sluice/datapath/openflow"
	"sluice/flows/internal/hostile"
	"sluice/flows/internal/worlds"
	"sluice/flows/simulate"
)

// opening is the first frame of a conversation from an entry.
func (c *Cluster) opening(d dice, e entry) (from Sender, p simulate.Packet, ok bool) {
	switch {
	case e.from.Container != nil:
		return e.from, c.frame(d, e.from.Container.Value, e.need), true
	case e.from.Outside:
		return e.from, c.unasked(d, e), true
	case e.from.Resolver:
		from, p = c.resolves(d, e)
		return from, p, true
	}
	p, ok = c.strange(d, e)
	return e.from, p, ok
}

// tracedFrames is how many frames are traced for one edit at most.
const tracedFrames = 12

// candidates are the frames that a judge is shown: what shows harm by the simulator, and what else may meet the edit.
func (m *mutant) candidates(c *Cluster, shown *Counterexample) (all []Send) {
	if shown != nil && len(shown.Sends) == 1 {
		all = append(all, shown.Sends[0])
	}
	d := dice{rand.New(rand.NewPCG(m.seed, 11))}
	changed := slices.Concat(m.Added, m.Removed)
	for range 4 * tracedFrames {
		f := changed[d.IntN(len(changed))]
		h := c.host(m.host)
		e, ok := c.draw(d, target{host: h, table: f.Table, match: f.Match, node: h.graph.node(&f)})
		if !ok {
			continue
		}
		if from, p, ok := c.opening(d, e); ok && len(all) < tracedFrames {
			all = append(all, Send{From: from, Packet: p})
		}
	}
	return all
}

// compares reports whether the simulator and a trace can say the same of a frame: a trace takes every packet for
// the first of its connection, and fragments for whole, and the switch has a route to the underlay alone.
func compares(p *simulate.Packet, walk *simulate.Walk) bool {
	for _, loss := range walk.Losses {
		var stray *simulate.StrayError
		if !errors.As(loss.Err, &stray) || !stray.Underlay {
			continue
		}
		v4, v6 := address(stray.Output.Packet.Get(of.FieldTunDst), false), address(stray.Output.Packet.Get(of.FieldTunIPv6Dst), true)
		if !underlay4.Contains(v4) && !underlay6.Contains(v6) {
			return false
		}
	}
	text := walk.String()
	return len(p.Tags()) < 2 && !strings.Contains(text, "+inv") && !strings.Contains(text, "fragments")
}

// decided reports whether the tables say one thing of a frame: of two flows of one priority a switch may take either.
func (m *mutant) decided(c *Cluster, s *Send) bool {
	var hosts []*simulate.Host
	for i, h := range c.hosts {
		sim := h.simulated(m.state.Host(h.name).Value)
		sim.Bridge = simulate.Load(runnable(m.tables[i].Flows))
		hosts = append(hosts, sim)
	}
	walk := simulate.NewCluster(hosts...).Follow(s.From.Host, s.From.Port, s.Packet)
	return !slices.ContainsFunc(walk.Losses, func(l simulate.Loss) bool { return l.Unknown })
}

// traces is what came of the comparison.
type traces struct {
	Frames          int `json:"frames"`          // that were traced
	Disagreements   int `json:"disagreements"`   // of trace and simulator, whether a frame does harm
	RefusedBySwitch int `json:"refusedBySwitch"` // edits that Open vSwitch does not take
}

// judge traces frames that meet an edit, and says which law they break.
func (o *tracer) judge(t *testing.T, m *mutant, c *Cluster, shown *Counterexample, n *traces) (law string) {
	t.Helper()
	for _, send := range m.candidates(c, shown) {
		for _, h := range c.hosts {
			h.bridge.Forget()
		}
		walk := c.sim.Follow(send.From.Host, send.From.Port, send.Packet)
		if !compares(&send.Packet, walk) {
			continue
		}
		n.Frames++
		traced := c.Broken(send.From, &send.Packet, o.follow(c, send.From, send.Packet))
		if simulated := c.Broken(send.From, &send.Packet, walk); (traced == "") != (simulated == "") && m.decided(c, &send) {
			n.Disagreements++
			t.Errorf("%s\n%s: %s\nOpen vSwitch: %q\n%s\nsimulator: %q\n%s", m, send.From, &send.Packet, traced, o.said, simulated, walk)
		}
		if traced != "" && law == "" {
			law = traced
		}
	}
	return law
}

// Every edit that lets a frame do harm is refused by the proof, as ofproto/trace of a real switch judges; and frame by
// frame it says what the simulator says.
func TestMutantsByOpenVSwitch(t *testing.T) {
	o := newTracer(t)
	var s score
	var n traces
	eachWorld(func(w *worlds.World, r *rand.Rand, tables []Tables) {
		if !o.load(tables) {
			t.Fatal("the switch refuses compiled tables")
		}
		s.Clusters++
		for range *mutantEdits {
			m := mutate(w, tables, hostile.Edit(r, hostileTables(tables)))
			if !o.load(m.tables) {
				n.RefusedBySwitch++
				continue
			}
			s.Edits++
			c := New(m.state, m.tables)
			shown := m.counterexample(c, 200)
			law := o.judge(t, m, c, shown, &n)
			s.count(t, m, shown, law != "", sentence(law))
		}
	})
	t.Logf("%+v %+v", s, n)
	publish(t, "ofprotoTrace", struct {
		score
		traces
	}{s, n})
}

type sentence string

func (s sentence) String() string { return string(s) }
