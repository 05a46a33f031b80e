package witness

import (
	"net/netip"
	"slices"

	of "sluice/datapath/openflow"
	"sluice/flows"
	"sluice/flows/prove"
	"sluice/flows/simulate"
	"sluice/store"
)

// Tables are what a host's switch holds.
type Tables = prove.Tables

// Cluster is all hosts with their tables, ready to run frames through them.
type Cluster struct {
	state *store.State
	hosts []*host
	sim   *simulate.Cluster
	words *words
}

// host is one switch: its tables, and who may send into it.
type host struct {
	name            string
	sw              flows.Switch
	tunnel, gateway uint32
	resolver, trunk uint32
	bridge          *simulate.Bridge
	graph           *graph
	containers      []Sender
}

// New loads the tables of all hosts. A host that the store does not have is left out.
//
// What the simulator does not run, such as an action that learns, is left out of its flow, and a flow that
// matches what it does not model is left out whole: a counterexample never needs them, but one that does is not
// found.
func New(s *store.State, tables []Tables) *Cluster {
	c := &Cluster{state: s}
	var simulated []*simulate.Host
	for _, t := range tables {
		item := s.Host(t.Switch.Host)
		if item == nil || len(item.Value.VTEPs) == 0 {
			continue
		}
		h := c.load(t)
		c.hosts = append(c.hosts, h)
		simulated = append(simulated, h.simulated(item.Value))
	}
	// An address leads to the host that holds it: of two hosts that say it, that one comes last.
	slices.SortStableFunc(simulated, func(a, b *simulate.Host) int { return c.holding(a) - c.holding(b) })
	c.sim = simulate.NewCluster(simulated...)
	c.words = newWords(c)
	return c
}

// holding is 1 for a host that holds its tunnel address, else 0.
func (c *Cluster) holding(h *simulate.Host) int {
	if holder := c.state.HostByVTEP(h.VTEP); holder != nil && holder.Key.Host == h.Name {
		return 1
	}
	return 0
}

func (c *Cluster) load(t Tables) *host {
	h := &host{name: t.Switch.Host, sw: t.Switch,
		tunnel: t.Switch.OFPort[store.TunnelInterface], gateway: t.Switch.OFPort[store.GatewayInterface],
		resolver: t.Switch.OFPort[store.ResolverInterface]}
	if trunk := c.state.Host(h.name).Value.Trunk; trunk != "" {
		h.trunk = t.Switch.OFPort[trunk]
	}
	loaded := runnable(t.Flows)
	h.bridge = bridgeOf(loaded)
	h.graph = newGraph(loaded)
	for _, name := range sortedKeys(t.Switch.OFPort) {
		if p := c.state.PortByInterface(h.name, name); p != nil {
			h.containers = append(h.containers, Sender{Host: h.name, Port: t.Switch.OFPort[name], Container: p, Tenant: p.Key.Tenant})
		}
	}
	return h
}

func (h *host) simulated(item *store.Host) *simulate.Host {
	s := &simulate.Host{Name: h.name, Bridge: h.bridge, VTEP: item.VTEPs[0], Further: item.VTEPs[1:],
		Tunnel: h.tunnel, Gateway: h.gateway, Ports: map[uint32]string{}}
	s.Trunked, s.Trunk = h.trunk != 0, h.trunk
	for name, number := range h.sw.OFPort {
		if number != 0 && number != h.tunnel && number != h.gateway && number != s.Trunk {
			s.Ports[number] = name
		}
	}
	return s
}

// container is who is behind a port of a host; nil: nobody that the store knows.
func (h *host) container(port uint32) *store.Item[store.Port] {
	for _, s := range h.containers {
		if s.Port == port {
			return s.Container
		}
	}
	return nil
}

func (c *Cluster) host(name string) *host {
	for _, h := range c.hosts {
		if h.name == name {
			return h
		}
	}
	return nil
}

// hostOf is the host that frames to a tunnel address reach.
func (c *Cluster) hostOf(vtep netip.Addr) *host {
	if holder := c.state.HostByVTEP(vtep); holder != nil {
		return c.host(holder.Key.Host)
	}
	return nil
}

// bridgeOf loads flows. Of two that would replace each other the first stands.
func bridgeOf(list []of.Flow) *simulate.Bridge {
	b, err := simulate.NewBridge(list)
	if err != nil { // runnable left out what cannot run
		b, _ = simulate.NewBridge(nil)
	}
	b.TakeFirst()
	return b
}

// runnable are the flows that the simulator runs, without the actions that it does not.
func runnable(list []of.Flow) []of.Flow {
	kept := make([]of.Flow, 0, len(list))
	seen := map[string]bool{}
	var key []byte
	for _, f := range list {
		if key = f.AppendMatchKey(key[:0]); seen[string(key)] {
			continue
		}
		seen[string(key)] = true
		if simulate.Check(&f) != nil {
			f.Actions = slices.DeleteFunc(slices.Clone(f.Actions), func(a of.Action) bool {
				return simulate.Check(&of.Flow{Table: f.Table, Actions: []of.Action{a}}) != nil
			})
		}
		if f.Unknown == "" && simulate.Check(&f) == nil {
			kept = append(kept, f)
		}
	}
	return kept
}
