package bench

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"sluice/datapath"
	"sluice/datapath/openflow"
	"sluice/datapath/ovsrun"
	"sluice/store"
)

// bridge is the name of the one bridge of a testbed.
const bridge = "br-int"

// passive is where the bridge listens for a plain TCP writer, in its own namespace.
const passive = "127.0.0.1:6654"

// connectTime bounds the wait for the switch to dial in.
const connectTime = 20 * time.Second

// testbed is one bridge of a private Open vSwitch that dials in to sessions of ours.
type testbed struct {
	*ovs
	sessions chan session
	stop     context.CancelFunc
	served   chan error
	tls      *tls.Config // of the sessions; nil: in the clear
}

// session is one connection of the switch, kept until done is closed.
type session struct {
	*datapath.Switch
	done chan struct{}
}

func newTestbed(ctx context.Context, log *slog.Logger) (*testbed, error) {
	o, err := startOVS(ctx)
	if err != nil {
		return nil, err
	}
	l, target, err := o.listen()
	if err == nil {
		err = o.Change(ctx, func(c *ovsrun.Change) error {
			return c.AddUserspaceBridge(bridge, []string{target, "ptcp:" + passivePort()}, "inactivity_probe=0")
		})
	}
	if err != nil {
		o.close()
		return nil, err
	}
	serving, stop := context.WithCancel(ctx)
	b := &testbed{ovs: o, sessions: make(chan session), stop: stop, served: make(chan error, 1)}
	go b.serve(serving, l, log)
	return b, nil
}

func passivePort() string {
	host, port, _ := net.SplitHostPort(passive)
	return port + ":" + host
}

func (b *testbed) serve(ctx context.Context, l net.Listener, log *slog.Logger) {
	b.served <- datapath.Serve(ctx, l, datapath.Options{Log: log, TLS: b.tls}, func(ctx context.Context, s *datapath.Switch) {
		kept := session{Switch: s, done: make(chan struct{})}
		select {
		case b.sessions <- kept:
		case <-ctx.Done():
			return
		}
		select {
		case <-kept.done:
		case <-ctx.Done():
		}
	})
}

func (b *testbed) close() {
	b.stop()
	<-b.served
	b.ovs.close()
}

// connected is the next session of the switch.
func (b *testbed) connected(ctx context.Context) (session, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	select {
	case s := <-b.sessions:
		return s, nil
	case err := <-b.served:
		b.served <- err
		return session{}, errors.Join(errors.New("no sessions any more"), err)
	case <-ctx.Done():
		return session{}, fmt.Errorf("the switch does not dial in: %w", ctx.Err())
	}
}

// metered is connected, to a bridge that has the meters which flows name: they outlive the flows.
func (b *testbed) metered(ctx context.Context, list []openflow.Flow) (session, error) {
	s, err := b.connected(ctx)
	if err == nil {
		err = s.SetMeters(ctx, metersOf(list))
	}
	return s, err
}

// metersOf are meters with the numbers that flows name. No frame comes to them here.
func metersOf(list []openflow.Flow) (specs []openflow.MeterSpec) {
	for i := range list {
		if len(list[i].Actions) == 0 {
			continue
		}
		if m, ok := list[i].Actions[0].(openflow.Meter); ok {
			specs = append(specs, openflow.MeterSpec{ID: m.ID, Unit: openflow.MeterPackets, Rate: store.DefaultBroadcasts, Burst: store.DefaultBroadcasts})
		}
	}
	return specs
}

func (s session) hangUp() { close(s.done) }

// clear empties the bridge.
func (b *testbed) clear(ctx context.Context) error {
	return b.Client(ctx).OpenFlow.DelFlows(bridge, nil)
}

// holds checks how many flows the bridge has. go-openvswitch leaves their number out.
func (b *testbed) holds(ctx context.Context, want int) error {
	out, err := b.OFCtl(ctx, "dump-aggregate", bridge)
	if err != nil {
		return err
	}
	_, count, _ := strings.Cut(strings.TrimSpace(out), "flow_count=")
	if got, err := strconv.Atoi(count); err != nil || got != want {
		return fmt.Errorf("the switch holds %q flows instead of %d", count, want)
	}
	return nil
}

// refill clears the bridge and returns how many seconds send took to give it so many flows.
func (b *testbed) refill(ctx context.Context, want int, send func() error) (seconds float64, err error) {
	if err := b.clear(ctx); err != nil {
		return 0, err
	}
	runtime.GC() // nobody pays for what another left
	if seconds, err = timed(send); err != nil {
		return 0, err
	}
	return seconds, b.holds(ctx, want)
}

// timed is how many seconds f takes.
func timed(f func() error) (float64, error) {
	start := time.Now()
	err := f()
	return time.Since(start).Seconds(), err
}

func addsOf(list []openflow.Flow) []datapath.Mod {
	mods := make([]datapath.Mod, len(list))
	for i := range list {
		mods[i].Flow = list[i]
	}
	return mods
}

// textOf is what ovs-ofctl add-flows reads.
func textOf(list []openflow.Flow) []byte {
	var b bytes.Buffer
	var line []byte
	for i := range list {
		line = append(list[i].AppendText(line[:0]), '\n')
		b.Write(line)
	}
	return b.Bytes()
}

// feed gives lines to ovs-ofctl add-flows, each with its command.
func (b *testbed) feed(ctx context.Context, text []byte) error {
	file := b.Path("feed.txt")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	return b.ofctl(ctx, nil, "--bundle", "add-flows", bridge, file)
}
