package hostagent

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"sluice/datapath/ovsdb"
	"sluice/store"
)

// seldomHeard is how often a host says that it lives that is no gateway host: nobody sends egress there, and both ends must probe. So a gateway
// host hears little of many hosts, and says to none that it takes it for dead because its switch is busy.
const seldomHeard = time.Second

// probing is how a probe of a host says that this one lives, and how often it hears that the other one does: Open vSwitch takes the other end
// for dead after store.ProbesMissed that do not come (RFC 5880, 6.8.4). One that is cut says that it lives, and that nothing goes on by it.
func probing(every time.Duration, s slacks, gateway, cut bool) map[string]string {
	hear := s.hear.of(every)
	if !gateway {
		hear = max(hear, seldomHeard)
	}
	return map[string]string{"enable": "true", "min_tx": milliseconds(s.say.of(every)), "min_rx": milliseconds(hear),
		"mult": fmt.Sprint(store.ProbesMissed), "cpath_down": fmt.Sprint(cut)}
}

func milliseconds(d time.Duration) string { return fmt.Sprint(d.Milliseconds()) }

// silent is a probe that is not raised: the other end finds this host dead.
func silent() map[string]string { return map[string]string{"enable": "false"} }

// probes keep a tunnel port for each host that this one probes: all gateway hosts, and on a gateway host all hosts, since
// both ends must. The switch itself sends and takes the probes, and its flows ask which of these ports are alive.
type probes struct {
	o        Options
	db       *ovsdb.DB
	wayOut   *wayOut
	problems *problems
	learn    func(hosts []store.Event) // gets what the cluster's hosts are
	another  bell                      // the switch is another process, or the way out is cut or not any more
	wake     func()                    // has the mend loop tell the cluster

	mu     sync.Mutex
	at     store.Revision // of what should last looked at; 0: it did not
	seen   string         // the process that was the switch then
	raised string         // the process for which probes are raised; empty: for none

	interval time.Duration     // how often probes go that nothing makes late; 0: there are none
	gateways map[string]string // the gateway hosts of those probes, by interface, that are of one
	damped   []string          // gateway hosts that are, sorted
	slacks   slacks
	untuned  bool // raised probes may go otherwise than they should
}

// is lists the probe ports, by interface.
func (p *probes) is(ctx context.Context) (map[string]*ovsdb.Port, error) {
	all, err := p.db.Ports(ctx, store.BridgeName)
	if err != nil {
		return nil, err
	}
	is := map[string]*ovsdb.Port{}
	for _, i := range all {
		if _, probes := store.ProbedHash(i.Name); !probes {
			continue
		}
		if is[i.Name], err = p.db.Port(ctx, store.BridgeName, i.Name); err != nil {
			return nil, err
		}
		p.remember(i.ExternalIDs[raisedFor])
	}
	return is, nil
}

// should be the ports to other hosts, while the cluster fails over.
func (p *probes) should(ctx context.Context) (map[string]ovsdb.Interface, error) {
	settings, _, err := p.o.Store.Get(ctx, store.SettingsKey())
	if err != nil {
		return nil, fmt.Errorf("read whether gateways fail over: %w", err)
	}
	hosts, at, err := p.o.Store.List(ctx, store.KindHost)
	if err != nil {
		return nil, fmt.Errorf("list hosts: %w", err)
	}
	p.learn(hosts)
	p.mu.Lock()
	p.at, p.seen, p.interval, p.gateways = at, "", 0, gatewayProbes(hosts)
	s, on := settings.(*store.Settings)
	if on = on && s.FailOver; on {
		p.interval = s.ProbeEvery()
	}
	p.mu.Unlock()
	if !on {
		return nil, nil
	}
	ports := probePorts(p.o, hosts)
	p.raise(ctx, ports, hosts)
	return ports, nil
}

// gatewayProbes are the gateway hosts, by the names of their probes.
func gatewayProbes(hosts []store.Event) map[string]string {
	gateways := map[string]string{}
	for _, e := range hosts {
		if e.Object.(*store.Host).Gateway {
			gateways[store.ProbeInterface(e.Key.Host)] = e.Key.Host
		}
	}
	return gateways
}

// dead reports whether the switch finds another host dead. Where it does not probe that one, nobody knows.
func (p *probes) dead(host string) bool {
	if p.db == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadTime)
	defer cancel()
	port, err := p.db.Port(ctx, store.BridgeName, store.ProbeInterface(host))
	return err == nil && port != nil && port.Dead
}

// deadOrCut reports whether the switch finds another host dead, and of this host whether others do, since its way out is cut.
func (p *probes) deadOrCut(host string) bool {
	if host == p.o.Host {
		return p.wayOut.isCut()
	}
	return p.dead(host)
}

// deadTime bounds how long whoever asks waits for the switch's database, which is away while that is started anew.
const deadTime = 100 * time.Millisecond

// probing is how a probe goes now, by its interface.
func (p *probes) probing(name string) map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return probing(p.interval, p.slacks, p.gateways[name] != "", p.wayOut.isCut())
}

// mistuned are the probes that are raised and go otherwise than they should by now.
func (p *probes) mistuned(is map[string]*ovsdb.Port) (all []ovsdb.Interface) {
	if p.every() == 0 {
		return nil
	}
	for name, port := range is {
		if port == nil || port.BFD["enable"] != "true" {
			continue
		}
		if want := p.probing(name); !maps.Equal(want, port.BFD) {
			i := port.Interface
			i.BFD = want
			all = append(all, i)
		}
	}
	return all
}

// probePorts are the ports by which a host probes others. Of two hosts that share one, neither is probed.
func probePorts(o Options, hosts []store.Event) map[string]ovsdb.Interface {
	ports, sharers := map[string]ovsdb.Interface{}, map[string]int{}
	for _, e := range hosts {
		h, name := e.Object.(*store.Host), store.ProbeInterface(e.Key.Host)
		if sharers[name]++; e.Key.Host != o.Host && probed(o, h) {
			ports[name] = probeTo(o, name, h)
		}
	}
	maps.DeleteFunc(ports, func(name string, _ ovsdb.Interface) bool { return sharers[name] > 1 })
	return ports
}

// probed reports whether a host probes another: one of them is a gateway host, and a tunnel leads from the one to the other.
func probed(o Options, h *store.Host) bool {
	return (o.Gateway || h.Gateway) && h.Encap == o.Encap && h.VTEP().IsValid() && h.VTEP().Is4() == o.VTEP.Is4()
}

// probeTo is a tunnel of its own to a host, beside the one port for all: Open vSwitch looks for the exact key first.
func probeTo(o Options, name string, h *store.Host) ovsdb.Interface {
	i := tunnelPortFor(o)
	i.Name, i.BFD = name, silent()
	i.Options["remote_ip"], i.Options["key"] = h.VTEP().String(), fmt.Sprint(store.ProbeTunnelKey)
	return i
}

func (p *probes) makeSo(ctx context.Context, should map[string]ovsdb.Interface, is map[string]*ovsdb.Port) error {
	for _, name := range slices.Sorted(maps.Keys(is)) {
		if _, wanted := should[name]; wanted {
			continue
		}
		if err := p.db.DeletePort(ctx, store.BridgeName, name); err != nil {
			return err
		}
	}
	var lacking []ovsdb.Interface
	for _, name := range slices.Sorted(maps.Keys(should)) {
		if !is[name].Is(should[name]) {
			lacking = append(lacking, should[name])
		}
	}
	return p.db.EnsurePort(ctx, store.BridgeName, lacking...)
}
