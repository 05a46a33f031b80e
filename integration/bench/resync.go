package bench

import (
	"bytes"
	"context"
	"errors"
	"runtime"

	"sluice/datapath"
	"sluice/datapath/openflow"
	"sluice/flows"
)

// resyncFlows is how many flows the switch holds.
const resyncFlows = 100_000

// resyncOfDump bounds the time of a resync, beside that of ovs-ofctl dump-flows.
const resyncOfDump = 1.2

// driftShare is how many flows there are for each that is made wrong.
const driftShare = 100

func resyncCase() Case {
	return Case{
		Name:  "resync",
		About: "reconnect to a switch that holds 100,000 right flows, beside ovs-ofctl dump-flows; then mend drift",
		Ratio: "The sides take turns, each once a round. The ratio is the median of the rounds' ratios.",
		Needs: ovsPrograms,
		Run:   resync,
	}
}

// resyncer brings one bridge back to what a cluster wants, as a controller does.
type resyncer struct {
	*testbed
	cluster cluster
	list    []openflow.Flow
	session session

	sent    int       // flow mods for right flows, all rounds together
	garbage []float64 // bytes a flow, by round
}

func resync(ctx context.Context, r *Run) error {
	s := &resyncer{}
	r.Step("compiling")
	s.cluster, s.list = clusterWith(r.Size(resyncFlows))
	r.Step("starting Open vSwitch")
	var err error
	if s.testbed, err = newTestbed(ctx, r.Log); err != nil {
		return err
	}
	defer s.close()
	if err := s.fill(ctx); err != nil {
		return err
	}
	samples, err := r.TakeTurns(ctx, Side{"Sluice", s.again}, Side{"ovs-ofctl dump-flows", s.dump})
	if err != nil {
		return err
	}
	r.Step("mending drift")
	drift, err := s.mend(ctx)
	if err != nil {
		return err
	}
	res := Compare("s", samples[0], Other{"ovs-ofctl dump-flows", AtMost(resyncOfDump), samples[1]})
	res.Params = map[string]any{"flows": r.Size(resyncFlows)}
	res.Facts = append([]Fact{
		{"flows, exactly", float64(len(s.list)), "", nil},
		{"flow mods for right flows", float64(s.sent), "", Exactly(0)},
		{"allocated a flow", quantile(s.garbage, 0.5), "B", nil},
	}, drift...)
	return r.Done(res)
}

func (s *resyncer) fill(ctx context.Context) (err error) {
	if s.session, err = s.metered(ctx, s.list); err != nil {
		return err
	}
	if err := s.clear(ctx); err != nil {
		return err
	}
	if err := s.session.Commit(ctx, &datapath.Bundle{Mods: addsOf(s.list)}); err != nil {
		return err
	}
	return s.holds(ctx, len(s.list))
}

// again hangs up, waits for the switch to come back, and takes the time from there.
func (s *resyncer) again(ctx context.Context) (seconds float64, err error) {
	s.session.hangUp()
	if s.session, err = s.connected(ctx); err != nil {
		return 0, err
	}
	runtime.GC()
	before := allocated()
	seconds, err = timed(func() error {
		mods, err := s.compare(ctx)
		s.sent += mods.Len()
		return err
	})
	s.garbage = append(s.garbage, float64(allocated()-before)/float64(len(s.list)))
	return seconds, err
}

// compare does what a controller does with a switch that has just dialled in.
func (s *resyncer) compare(ctx context.Context) (flows.Mods, error) {
	_, generation, err := s.session.Role(ctx)
	if err != nil {
		return flows.Mods{}, err
	}
	if err := s.session.Become(ctx, datapath.RoleMaster, generation+1); err != nil {
		return flows.Mods{}, err
	}
	if _, err := s.session.Ports(ctx); err != nil {
		return flows.Mods{}, err
	}
	return s.diff(ctx)
}

// diff compiles while the switch gathers its flows.
func (s *resyncer) diff(ctx context.Context) (flows.Mods, error) {
	dump, err := s.session.AskFlows(ctx)
	if err != nil {
		return flows.Mods{}, err
	}
	defer dump.Close()
	c := flows.NewComparison(0)
	flows.Slices(s.cluster.state, s.cluster.sw.Host, func(slice flows.Slice) {
		flows.Compile(s.cluster.state, s.cluster.sw, slice, func(f openflow.Flow) { c.Want(f) })
	})
	var unread error
	err = dump.Each(ctx, func(w *openflow.WireFlow) bool {
		unread = c.Have(w)
		return unread == nil
	})
	if err = errors.Join(err, unread); err != nil {
		return flows.Mods{}, err
	}
	return c.Mods()
}

func (s *resyncer) dump(ctx context.Context) (float64, error) {
	runtime.GC()
	return timed(func() error { return s.ofctl(ctx, nil, "dump-flows", bridge) })
}

// mend makes some flows wrong by ovs-ofctl, resyncs, and says whether exactly those were
// mended.
func (s *resyncer) mend(ctx context.Context) ([]Fact, error) {
	d := newDrift(s.list)
	if err := d.inject(ctx, s.testbed); err != nil {
		return nil, err
	}
	mods, err := s.diff(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.session.Commit(ctx, &datapath.Bundle{Mods: bundleOf(mods)}); err != nil {
		return nil, err
	}
	left, err := s.diff(ctx)
	if err != nil {
		return nil, err
	}
	return []Fact{
		{"drift injected", float64(d.len()), "flows", nil},
		{"flow mods beside the drift", float64(d.beside(mods)), "", Exactly(0)},
		{"drift not mended", float64(left.Len()), "flows", Exactly(0)},
	}, s.holds(ctx, len(s.list))
}

func bundleOf(m flows.Mods) []datapath.Mod {
	var mods []datapath.Mod
	add := func(command openflow.Command, list []openflow.Flow) {
		for _, f := range list {
			mods = append(mods, datapath.Mod{Command: command, Flow: f})
		}
	}
	add(openflow.DeleteStrict, m.Delete)
	add(openflow.ModifyStrict, m.Modify)
	add(openflow.Add, m.Replace)
	add(openflow.Add, m.Add)
	return mods
}

// drift is what somebody did to a switch behind our back. Each list holds the flows that a
// resync has to send.
type drift struct{ missing, changed, extra []openflow.Flow }

// newDrift spreads one wrong flow in driftShare evenly over the flows, each kind in turn.
func newDrift(list []openflow.Flow) *drift {
	d := &drift{}
	for i := driftShare / 2; i < len(list); i += driftShare {
		f := list[i]
		switch i / driftShare % 3 {
		case 0:
			d.missing = append(d.missing, f)
		case 1:
			d.changed = append(d.changed, f)
		default:
			f.Priority++ // of its table, no flow of ours has such a one
			f.Cookie = ^uint64(0)
			d.extra = append(d.extra, f)
		}
	}
	return d
}

func (d *drift) len() int { return len(d.missing) + len(d.changed) + len(d.extra) }

func (d *drift) inject(ctx context.Context, b *testbed) error {
	var text []byte
	line := func(command string, f openflow.Flow) {
		text = append(f.AppendText(append(append(text, command...), ' ')), '\n')
	}
	for _, f := range d.missing {
		f.Cookie, f.Flags = 0, 0
		line("delete_strict", f)
		text = append(text[:bytes.LastIndex(text, []byte(" actions="))], '\n') // a delete has none
	}
	for _, f := range d.changed {
		f.Actions = []openflow.Action{openflow.Output{Port: 60_000}}
		line("modify_strict", f)
	}
	for _, f := range d.extra {
		line("add", f)
	}
	return b.feed(ctx, text)
}

// beside counts how many flow mods differ from those that the drift asks for.
func (d *drift) beside(m flows.Mods) int {
	return unlike(m.Add, d.missing) + len(m.Replace) + unlike(m.Modify, d.changed) + unlike(m.Delete, d.extra)
}

// unlike counts the flows that are in one list and not in the other.
func unlike(a, b []openflow.Flow) int { return differing(texts(a), texts(b)) }

func texts(list []openflow.Flow) []string {
	lines := make([]string, len(list))
	for i := range list {
		lines[i] = string(list[i].AppendText(nil))
	}
	return lines
}

// differing counts the lines that are in one list and not in the other.
func differing(a, b []string) int {
	count := map[string]int{}
	for _, line := range a {
		count[line]++
	}
	for _, line := range b {
		count[line]--
	}
	n := 0
	for _, c := range count {
		n += max(c, -c)
	}
	return n
}
