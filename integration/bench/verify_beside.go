package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"sluice/datapath"
	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/flows/prove"
	"sluice/store"
)

// besideFlows is how many flows the switch holds beside whose proof ports are programmed.
const besideFlows = 100_000

// besideAlone bounds what it costs to program a port while what changes is proved, to the same without a proof.
const besideAlone = 1.2

// besideTime is how long ports are programmed for one sample, and besidePause how long after one the next is.
const besideTime, besidePause = 3 * time.Second, 20 * time.Millisecond

// beside programs ports of a switch while it is proved.
type beside struct {
	*proved
	slices []flows.Slice // of a port and its network
	mods   []datapath.Mod
	worst  map[string]float64 // ms, by side

	wrong    error
	unproved atomic.Bool
}

// measureBeside measures what proofs cost those who are attached meanwhile, on a host with many flows.
func measureBeside(ctx context.Context, r *Run) error {
	p, err := newProved(ctx, r, besideFlows)
	if err != nil {
		return err
	}
	defer p.close()
	b := &beside{proved: p, worst: map[string]float64{}}
	if err := b.choose(); err != nil {
		return err
	}
	side := func(name string, meanwhile func(context.Context) (changed func())) Side {
		return Side{name, func(ctx context.Context) (float64, error) { return b.program(ctx, r, name, meanwhile) }}
	}
	const none, parts, all = "without a proof", "what changes is proved", "all flows are proved each half second"
	samples, err := r.TakeTurns(ctx,
		side(none, func(context.Context) func() { return func() {} }), side(parts, b.proveParts), side(all, b.proveAll))
	if err != nil {
		return err
	}
	res := Compare("ms", samples[1], Other{none, AtMost(besideAlone), samples[0]}, Other{all, nil, samples[2]})
	res.Params = map[string]any{"flows": r.Size(besideFlows), "what": "program a port's slice again"}
	for _, name := range []string{none, parts, all} {
		res.Facts = append(res.Facts, Fact{"the slowest, " + name, b.worst[name], "ms", nil})
	}
	return r.Done(res)
}

// choose picks a port on the host: its flows are deleted and added again in one bundle.
func (b *beside) choose() error {
	for i := range b.list {
		if slice := flows.Slice(b.list[i].Cookie); b.list[i].Table == flows.TableDeliver && slice.Kind() == flows.KindPort {
			b.slices = []flows.Slice{slice}
			break
		}
	}
	if len(b.slices) == 0 {
		return errors.New("no port of the cluster has flows")
	}
	port := b.cluster.state.PortByNumber(uint32(b.slices[0]))
	network := b.cluster.state.Network(port.Key.NetworkName())
	for i := range b.list {
		f := b.list[i]
		slice := flows.Slice(f.Cookie)
		switch {
		case slice == b.slices[0]:
			b.mods = append(b.mods, datapath.Mod{Command: openflow.DeleteStrict, Flow: f}, datapath.Mod{Command: openflow.Add, Flow: f})
		case slice.Kind() == flows.KindNetwork && uint32(slice) == network.Value.Number && !slices.Contains(b.slices, slice):
			b.slices = append(b.slices, slice)
		}
	}
	return nil
}

// program programs the port again and again, and returns the mean of how long that took, in milliseconds.
func (b *beside) program(ctx context.Context, r *Run, name string, meanwhile func(context.Context) func()) (mean float64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changed := meanwhile(ctx)
	count := 0
	for end := time.Now().Add(time.Duration(float64(besideTime) * min(1, r.Scale))); time.Now().Before(end); count++ {
		seconds, err := timed(func() error { return b.session.Commit(ctx, &datapath.Bundle{Mods: b.mods}) })
		if err != nil {
			return 0, err
		}
		changed()
		mean += seconds * 1000
		b.worst[name] = max(b.worst[name], seconds*1000)
		time.Sleep(besidePause)
	}
	if b.unproved.Load() {
		return 0, errors.New("what the switch holds is not proved")
	}
	return mean / float64(max(1, count)), b.wrong
}

// proveParts reads and proves the slices that changed, each half second, on the ground of a whole proof.
func (b *beside) proveParts(ctx context.Context) (changed func()) {
	found, ground := prove.Whole(b.cluster.state, prove.Tables{Switch: b.cluster.sw, Flows: b.list})
	if ground == nil {
		b.wrong = fmt.Errorf("it is not proved: %v", found)
		return func() {}
	}
	return b.now(ctx, []uint64{uint64(b.slices[0]), uint64(b.slices[1])}, ground.Part)
}

// proveAll reads and proves all flows, each half second.
func (b *beside) proveAll(ctx context.Context) (changed func()) {
	return b.now(ctx, nil, func(s *store.State, t prove.Tables) bool { return len(prove.Host(s, t)) == 0 })
}

// now reads flows and proves them at once when they change, with half a second between.
func (b *beside) now(ctx context.Context, cookies []uint64, proves func(*store.State, prove.Tables) bool) (changed func()) {
	flag := make(chan struct{}, 1)
	go func() {
		for {
			select {
			case <-flag:
			case <-ctx.Done():
				return
			}
			t := prove.Tables{Switch: b.cluster.sw}
			err := b.session.Flows(ctx, cookies, func(f *openflow.FlowStats) bool {
				t.Flows = append(t.Flows, f.Flow)
				return true
			})
			if err == nil && !proves(b.cluster.state, t) {
				b.unproved.Store(true)
			}
			time.Sleep(500 * time.Millisecond)
		}
	}()
	return func() {
		select {
		case flag <- struct{}{}:
		default:
		}
	}
}
