package hostagent

import (
	"context"
	"slices"
	"time"

	"sluice/store"
)

// This file has a switch send to no gateway host that dies and comes back again and again, such as by a link that flaps: each return takes connections from the
// backup, and each death those of the gateway host. The switch is told what to find of a probe that is damped, whatever that hears (bfd/set-forwarding in
// ovs-vswitchd(8)). It forgets that when it ends.

const (
	// dampInterval is between two looks whether a gateway host died. One that is back is found alive after a second or two.
	dampInterval = 500 * time.Millisecond
	// dampFirst is for how long the second death counts, from then on; each further one counts twice as long, dampMost at most.
	dampFirst, dampMost = 10 * time.Second, 2 * time.Minute
	// dampCalm is after what time without a death the next one counts as the first.
	dampCalm = 5 * time.Minute
)

// damper judges one host by what the switch finds. The zero damper has not seen it alive.
type damper struct {
	alive bool
	falls int       // deaths, one soon after the other
	until time.Time // the host counts as dead; when it died, where it counts as long as it is
}

// finds notes what the switch finds at a time, and reports whether the host is to count as dead whatever it finds.
func (d *damper) finds(dead bool, at time.Time) bool {
	if at.Before(d.until) {
		return true
	}
	fell := dead && d.alive
	if d.alive = !dead; !fell {
		return false
	}
	if at.Sub(d.until) >= dampCalm {
		d.falls = 0
	}
	d.falls++
	d.until = at
	if d.falls > 1 {
		d.until = at.Add(min(dampFirst<<min(d.falls-2, 10), dampMost))
	}
	return d.falls > 1
}

// damp watches gateway hosts until ctx ends. It asks no etcd.
func (p *probes) damp(ctx context.Context) {
	var dampers map[string]*damper
	var told *damping
	for ; ctx.Err() == nil; pause(ctx, dampInterval) {
		now, damped, err := p.lookAt(ctx, dampers, time.Now())
		if err != nil {
			continue // the switch's database is away
		}
		dampers = now
		told = p.tellAll(ctx, told, damped)
	}
}

// tellAll tells the switch of damped probes, and, once that has heard it, who tells the cluster. It returns what the switch was told, as tell does.
func (p *probes) tellAll(ctx context.Context, told *damping, damped []string) *damping {
	next, err := p.tell(ctx, told, damped)
	if p.problems.report("damping of probes", err); err != nil {
		return next
	}
	p.noteDamped(damped)
	if !told.damps(damped) {
		p.o.Log.Info("gateway hosts that came and went count as dead for a while", "host", p.o.Host, "probes", damped)
	}
	return next
}

// noteDamped keeps which hosts are damped, for who tells the cluster.
func (p *probes) noteDamped(damped []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.damped = nil
	for _, name := range damped {
		if host := p.gateways[name]; host != "" {
			p.damped = append(p.damped, host)
		}
	}
	slices.Sort(p.damped)
}

// dampedHosts are the gateway hosts to which this host's switch does not send for a while, sorted.
func (p *probes) dampedHosts() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.damped)
}

// damping is what a switch was told of probes.
type damping struct {
	process string   // the one that was told
	probes  []string // that are damped, sorted
}

// damps reports whether these probes are damped. Nil damping is of none.
func (d *damping) damps(probes []string) bool {
	if d == nil {
		return len(probes) == 0
	}
	return slices.Equal(d.probes, probes)
}

// tell has the switch find what it is to find of damped probes, and what it hears of all others. It returns what the switch was told, which is nil where that
// is not known.
func (p *probes) tell(ctx context.Context, told *damping, damped []string) (*damping, error) {
	process, err := switchPID(p.o.RunDir)
	if err != nil {
		return nil, err
	}
	if told != nil && told.process == process && told.damps(damped) {
		return told, nil
	}
	c, err := dialSwitch(ctx, p.o.RunDir)
	if err != nil {
		return nil, err
	}
	defer c.close()
	if told == nil || told.process != process { // an agent before may have told it something else
		told = &damping{}
		if err := c.call(setForwarding, "normal"); err != nil {
			return nil, err
		}
	}
	for _, name := range told.probes {
		if !slices.Contains(damped, name) {
			_ = c.call(setForwarding, name, "normal") // the probe may be gone, and what it was told with it
		}
	}
	for _, name := range damped {
		if err := c.call(setForwarding, name, "false"); err != nil {
			return nil, err
		}
	}
	return &damping{process, damped}, nil
}

// setForwarding has ovs-vswitchd find a probe's host alive or dead, or, by "normal", what the probe hears.
const setForwarding = "bfd/set-forwarding"

// lookAt shows each damper what the switch finds of its gateway host, and returns those that there are then, and which probes are damped. A probe
// that went, or is silent, is forgotten.
func (p *probes) lookAt(ctx context.Context, before map[string]*damper, at time.Time) (now map[string]*damper, damped []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	now = map[string]*damper{}
	for _, name := range p.ofGateways() {
		port, err := p.db.Port(ctx, store.BridgeName, name)
		if err != nil {
			return nil, nil, err
		}
		if port == nil || port.BFD["enable"] != "true" {
			continue
		}
		if now[name] = before[name]; now[name] == nil {
			now[name] = &damper{}
		}
		if now[name].finds(port.Dead, at) {
			damped = append(damped, name)
		}
	}
	return now, damped, nil
}

// ofGateways are the probes of gateway hosts, sorted; none while there are no probes.
func (p *probes) ofGateways() (names []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.interval == 0 {
		return nil
	}
	for name := range p.gateways {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
