package hostagent

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sluice/datapath/ovsdb"
	"sluice/store"
)

// This file holds the probes of a switch that was started anew until it has its flows: it would be found alive as soon as it
// runs, and swallow what is sent to it. What holds them is no clock. The agent tells the cluster which process its switch is, and
// raises the probes once the cluster says that this host's switch holds the revision of that word. While no etcd answers nobody
// says so, and they are held.

const (
	// raisedFor is under which name a probe port says for which process of the switch it was raised: an agent that is started
	// anew beside a switch that goes on holds nothing.
	raisedFor = "sluice-raised-for"
	// processInterval is how often the agent looks which process the switch is. Two switches need about a second until
	// they find each other alive.
	processInterval = 100 * time.Millisecond
	// realizedTime bounds one question whether the switch has its flows.
	realizedTime = time.Second
)

// switchProcess tells one process of ovs-vswitchd from another, by its number and when it started; empty: it cannot be told.
func switchProcess(runDir string) string {
	pid, err := switchPID(runDir)
	if err != nil {
		return ""
	}
	text, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(text), ") ") // after the program's name, which may have spaces
	fields := strings.Fields(rest)
	if len(fields) < 20 {
		return ""
	}
	return pid + "." + fields[19] // starttime, see proc(5)
}

// remember notes what a probe port says of the process for which it was raised.
func (p *probes) remember(process string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if process != "" && process == switchProcess(p.o.RunDir) {
		p.raised = process
	}
}

// raise has ports probe once the switch that runs has its flows. Where it cannot be told which process it is, they probe at once.
func (p *probes) raise(ctx context.Context, ports map[string]ovsdb.Interface, hosts []store.Event) {
	process := switchProcess(p.o.RunDir)
	p.mu.Lock()
	raised := process == "" || p.raised == process
	p.seen = process
	p.mu.Unlock()
	if !raised {
		raised = p.holdsFlows(ctx, process, hosts)
	}
	p.mu.Lock()
	if p.raised = ""; raised {
		p.raised = process
	}
	p.mu.Unlock()
	if !raised {
		return
	}
	for name, i := range ports {
		i.BFD, i.ExternalIDs = p.probing(name), map[string]string{raisedFor: process}
		ports[name] = i
	}
}

// holdsFlows reports whether the switch, which is a process, holds what the cluster had for it when that process was told of.
func (p *probes) holdsFlows(ctx context.Context, process string, hosts []store.Event) bool {
	ctx, cancel := context.WithTimeout(ctx, realizedTime)
	defer cancel()
	for _, e := range hosts {
		if h, ok := e.Object.(*store.Host); ok && e.Key.Host == p.o.Host {
			return h.Switch == process && p.o.Store.WaitHost(ctx, p.o.Host, e.Modified, store.Key{}) == nil
		}
	}
	return false
}

// newProbes keeps probes once it has the switch's database.
func newProbes(o Options, p *problems, wake func()) *probes {
	w := &probes{o: o, problems: p, another: newBell(), wake: wake, learn: func([]store.Event) {}}
	w.wayOut = newWayOut(o, p, w.cutOrOpen)
	return w
}

// cutOrOpen has probes say that the way out is cut, or not any more, whether etcd is there or not.
func (p *probes) cutOrOpen() {
	p.mu.Lock()
	p.untuned = true
	p.mu.Unlock()
	p.stir()
}

// stir has the keeper look at once, and the mend loop tell the cluster.
func (p *probes) stir() {
	p.another.ring()
	p.wake()
}

// watch lowers the probes of a switch that was started anew, until ctx ends. It asks no etcd.
func (p *probes) watch(ctx context.Context) {
	for seen := ""; ctx.Err() == nil; pause(ctx, processInterval) {
		process := switchProcess(p.o.RunDir)
		if process == "" || process == seen {
			continue
		}
		err := p.lower(ctx, process)
		if p.problems.report("probes of a new switch", err); err == nil {
			seen = process
			p.stir()
		}
	}
}

// lower silences the probes that were raised for another process than this one.
func (p *probes) lower(ctx context.Context, process string) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	if bridge, err := p.db.Bridge(ctx, store.BridgeName); bridge == nil {
		return err
	}
	is, err := p.is(ctx)
	if err != nil {
		return err
	}
	var low []ovsdb.Interface
	for _, port := range is {
		if port.ExternalIDs[raisedFor] != process {
			i := port.Interface
			i.BFD, i.ExternalIDs = silent(), nil
			low = append(low, i)
		}
	}
	return p.db.EnsurePort(ctx, store.BridgeName, low...)
}

// heldInterval is between two looks whether the switch has its flows by now.
const heldInterval = time.Second

// wait is the keeper's rhythm: it returns when hosts or settings changed, when the switch is another process, when the way out
// is cut or not any more, and after peerInterval at the latest; soon while probes are held.
func (p *probes) wait(ctx context.Context) {
	p.mu.Lock()
	at, held := p.at, p.seen != "" && p.raised != p.seen
	p.mu.Unlock()
	if held {
		p.another.wait(ctx, heldInterval)
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel()
		awaitRested(ctx, restInterval, peerInterval, at, p.o.Store.AddressesChanged)
	}()
	p.another.wait(ctx, peerInterval)
}
