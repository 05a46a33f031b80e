package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sluice/datapath"
)

// ofctrlTime bounds our time to ofctrl's, for the same flows.
const ofctrlTime = 1

// rival sends the same flows to one bridge by our session and by ofctrl of contiv/ofnet.
type rival struct {
	*testbed
	session session
	mods    []datapath.Mod
	program string // ofctrl's
	file    string // of the flows, as it reads them

	ours, theirs []float64 // processor time of sending, in seconds, by round
	held         []string  // by the bridge after the first turn
	differ       int       // flows that a later turn left and the first did not, or the other way round
}

// besideOfctrl compares the two on flows that ofctrl can say.
func besideOfctrl(ctx context.Context, r *Run, b *testbed, s session) error {
	list := commonFlows(r.Size(programFlows))
	v := newRival(b, s, list)
	if err := writeLines(v.file, list); err != nil {
		return err
	}
	r.Step("building ofctrl")
	if err := buildOfctrl(ctx, v.program); err != nil {
		return fmt.Errorf("contiv ofctrl: %w", err)
	}
	samples, err := r.TakeTurns(ctx, Side{"Sluice, flows that ofctrl can say", v.bySession}, Side{"contiv ofctrl", v.byOfctrl})
	if err != nil {
		return err
	}
	res := Compare("s", samples[0], Other{"contiv ofctrl", AtMost(ofctrlTime), samples[1]})
	res.Params = map[string]any{"flows": len(list), "what": "flows that ofctrl can say"}
	res.Facts = []Fact{
		{"flows that the sides left and that differ", float64(v.differ), "", Exactly(0)},
		{"processor time of sending, Sluice", quantile(v.ours, 0.5), "s", nil},
		{"processor time of sending, contiv ofctrl", quantile(v.theirs, 0.5), "s", nil},
	}
	return r.Done(res)
}

func newRival(b *testbed, s session, list []commonFlow) *rival {
	v := &rival{testbed: b, session: s, program: b.Path("ofctrl"), file: b.Path("common.json")}
	for i := range list {
		v.mods = append(v.mods, datapath.Mod{Flow: list[i].flow()})
	}
	return v
}

func (v *rival) bySession(ctx context.Context) (float64, error) {
	return v.turn(ctx, func() error {
		before := processorTime()
		err := v.session.Commit(ctx, &datapath.Bundle{Mods: v.mods})
		v.ours = append(v.ours, processorTime()-before)
		return err
	})
}

// processorTime is what this process has used, in seconds.
func processorTime() float64 {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u) // it knows this process
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// byOfctrl starts a process for each turn: connecting and building ofctrl's flows are done
// before the clock starts, as ours are there already.
func (v *rival) byOfctrl(ctx context.Context) (seconds float64, err error) {
	p, err := v.startOfctrl(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, p.end()) }()
	if _, err := p.expect("ready"); err != nil {
		return 0, err
	}
	return v.turn(ctx, func() error {
		if _, err := io.WriteString(p.in, "go\n"); err != nil {
			return err
		}
		used, err := p.expect("done ")
		if err != nil {
			return err
		}
		processor, err := strconv.ParseFloat(used, 64)
		v.theirs = append(v.theirs, processor)
		return err
	})
}

// turn refills the bridge and compares what it holds with what the first turn left there.
func (v *rival) turn(ctx context.Context, send func() error) (float64, error) {
	seconds, err := v.refill(ctx, len(v.mods), send)
	if err != nil {
		return 0, err
	}
	text, err := v.OFCtl(ctx, "dump-flows", bridge, "--no-stats", "--no-names")
	if err != nil {
		return 0, err
	}
	held := strings.Split(strings.TrimSpace(text), "\n")[1:] // the reply's head
	if v.held == nil {
		v.held = held
	}
	v.differ += differing(v.held, held)
	return seconds, nil
}

// ofctrlProcess is the helper while it runs.
type ofctrlProcess struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Scanner
	stderr bytes.Buffer
}

// startOfctrl starts the helper in the switch's namespace, where the bridge listens.
func (v *rival) startOfctrl(ctx context.Context) (*ofctrlProcess, error) {
	argv := v.Inside(v.program, passive, v.file)
	p := &ofctrlProcess{cmd: exec.CommandContext(ctx, argv[0], argv[1:]...)}
	p.cmd.Stderr = &p.stderr
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.in, p.out = in, bufio.NewScanner(out)
	return p, p.cmd.Start()
}

// expect reads the next line that the helper prints and returns what follows a word.
func (p *ofctrlProcess) expect(word string) (rest string, err error) {
	p.out.Scan() // at the end the line is empty, and the helper's end says why
	rest, ok := strings.CutPrefix(p.out.Text(), word)
	if !ok {
		return "", fmt.Errorf("it printed %q instead of %q", p.out.Text(), word)
	}
	return rest, nil
}

// end returns when the helper has ended, with what it complained of. Without more input it
// ends by itself.
func (p *ofctrlProcess) end() error {
	_ = p.in.Close() // it may have ended
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(p.stderr.String()))
	}
	return nil
}

// buildOfctrl builds the helper from the checkout in which this runs: it is a module of its own,
// and nothing of it is in this program.
func buildOfctrl(ctx context.Context, program string) error {
	mod, err := output(ctx, "", "go", "env", "GOMOD")
	if err != nil {
		return err
	}
	source := filepath.Join(filepath.Dir(strings.TrimSpace(mod)), "integration", "bench", "ofctrl")
	if _, err := os.Stat(filepath.Join(source, "go.mod")); err != nil {
		return fmt.Errorf("it is built from a checkout of Sluice, and this is none: %w", err)
	}
	_, err = output(ctx, "", "go", "build", "-C", source, "-buildvcs=false", "-o", program, ".")
	return err
}

// writeLines writes flows as JSON, one a line.
func writeLines(file string, list []commonFlow) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for i := range list {
		if err := enc.Encode(&list[i]); err != nil {
			return err
		}
	}
	return os.WriteFile(file, b.Bytes(), 0o600)
}
