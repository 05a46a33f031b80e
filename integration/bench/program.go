package bench

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"

	"sluice/datapath"
)

// programFlows is how many flows the case sends.
const programFlows = 100_000

// Bounds of the case program.
const (
	programOfPlain = 0.85 // of the rate of bytes that are there already
	programGarbage = 60   // bytes a flow
	// programHeld bounds what the heap grows by while sending, to the bytes sent: garbage and a
	// queue whose size is fixed. Whoever encodes the bundle before it is sent, or queues it
	// whole, needs all of them.
	programHeld = 0.5
)

func programCase() Case {
	return Case{
		Name:  "program",
		About: "100,000 flows into one switch, beside ready-made bytes on plain TCP, ovs-ofctl, ofctrl of contiv/ofnet, and the same over TLS",
		Ratio: "The sides take turns, each once a round. The ratio is the median of the rounds' ratios. ofctrl cannot say our flows: " +
			"beside it, both sides send flows of ports, MACs, IPv4 prefixes, goto and output, and must leave the same in the switch. " +
			"Over TLS the same flows go to the same bridge in a session of its own, in turns with the one in the clear.",
		Needs: ovsPrograms,
		Run:   program,
	}
}

// programmer sends the same flows to one bridge in several ways.
type programmer struct {
	*testbed
	session session
	mods    []datapath.Mod
	plain   plainBundle
	file    string // of the flows, as ovs-ofctl reads them

	garbage []float64 // bytes a flow that our side left, by round
	growth  []float64 // bytes that the heap grew by meanwhile
}

func program(ctx context.Context, r *Run) error {
	r.Step("compiling")
	c, list := clusterWith(r.Size(programFlows))
	p := &programmer{mods: addsOf(list)}
	p.plain = encodePlain(p.mods)
	r.Step("starting Open vSwitch")
	var err error
	if p.testbed, err = newTestbed(ctx, r.Log); err != nil {
		return err
	}
	defer p.close()
	p.file = p.Path("flows.txt")
	if err := os.WriteFile(p.file, textOf(list), 0o600); err != nil {
		return err
	}
	if p.session, err = p.metered(ctx, list); err != nil {
		return err
	}
	samples, err := r.TakeTurns(ctx,
		Side{"Sluice", p.bySession}, Side{"ready-made bytes", p.byPlainTCP}, Side{"ovs-ofctl", p.byOfctl})
	if err != nil {
		return err
	}
	res := Compare("flows/s", samples[0],
		Other{"ready-made bytes on plain TCP", AtLeast(programOfPlain), samples[1]},
		Other{"ovs-ofctl --bundle add-flows", AtLeast(1), samples[2]})
	sent, growth := float64(len(p.plain.adds)+len(p.plain.commit)), slices.Max(p.growth)
	res.Params = map[string]any{"flows": r.Size(programFlows)}
	res.Facts = []Fact{
		{"flows, exactly", float64(len(list)), "", nil},
		{"tenants that they serve", float64(c.tenants), "", nil},
		{"garbage a flow", quantile(p.garbage, 0.5), "B", AtMost(programGarbage)},
		{"bytes sent", sent / (1 << 20), "MiB", nil},
		{"peak of the heap while sending, beyond before", growth / (1 << 20), "MiB", nil},
		{"that peak, of the bytes sent", growth / sent, "", AtMost(programHeld)},
	}
	if err := r.Done(res); err != nil {
		return err
	}
	if err := p.besideTLS(ctx, r); err != nil {
		return err
	}
	return besideOfctrl(ctx, r, p.testbed, p.session)
}

// rate is flows a second.
func (p *programmer) rate(ctx context.Context, send func() error) (float64, error) {
	seconds, err := p.refill(ctx, len(p.mods), send)
	return float64(len(p.mods)) / seconds, err
}

func (p *programmer) bySession(ctx context.Context) (float64, error) {
	return p.rate(ctx, func() error {
		before := allocated()
		growth, err := heapGrowth(func() error { return p.session.Commit(ctx, &datapath.Bundle{Mods: p.mods}) })
		p.garbage = append(p.garbage, float64(allocated()-before)/float64(len(p.mods)))
		p.growth = append(p.growth, float64(growth))
		return err
	})
}

func (p *programmer) byPlainTCP(ctx context.Context) (float64, error) {
	conn, err := p.dial(passive)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	in, err := greet(conn)
	if err != nil {
		return 0, fmt.Errorf("greet the switch: %w", err)
	}
	return p.rate(ctx, func() error { return p.plain.send(conn, in) })
}

func (p *programmer) byOfctl(ctx context.Context) (float64, error) {
	return p.rate(ctx, func() error { return p.ofctl(ctx, nil, "--bundle", "add-flows", bridge, p.file) })
}

// allocated is how many bytes this process has allocated in its life.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}
