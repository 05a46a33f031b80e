package host

import (
	"maps"
	"slices"

	"sluice/flows"
	"sluice/store"
)

// SetPorts notes the OpenFlow numbers of all ports by interface name, and returns the names of
// those that came, went or were renumbered.
func (h *Host) SetPorts(now map[string]uint32) (changed []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.ports
	h.ports = now
	for name, number := range now {
		if was, had := before[name]; !had || was != number {
			changed = append(changed, name)
		}
	}
	for name := range before {
		if _, has := now[name]; !has {
			changed = append(changed, name)
		}
	}
	return changed
}

// PortIs notes that an interface has an OpenFlow number, and reports whether that is news.
func (h *Host) PortIs(name string, number uint32) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	before, had := h.ports[name]
	if h.ports == nil {
		h.ports = map[string]uint32{}
	}
	h.ports[name] = number
	return !had || before != number
}

// PortGone notes that the interface with that number is gone, and reports whether that is news:
// it is none where the name has another number by then.
func (h *Host) PortGone(name string, number uint32) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if before, had := h.ports[name]; !had || before != number {
		return false
	}
	delete(h.ports, name)
	return true
}

// PortsKnown reports whether the host's switch ever told its ports to this controller.
func (h *Host) PortsKnown() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ports != nil
}

// Switch is the host's switch as the compiler sees it: with its ports as last told, or with
// numbers by interface name where it never told them.
func (h *Host) Switch(s *store.State) flows.Switch {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ports == nil {
		return assumed(s, h.Name)
	}
	return flows.Switch{Host: h.Name, OFPort: maps.Clone(h.ports)}
}

// SwitchOf is the host's switch as the compiler sees it for states of the past: an interface has the number that it has
// now, or else, as it may be gone by now, one that no other has. It reports how many are such.
func (h *Host) SwitchOf(states ...*store.State) (sw flows.Switch, gone int) {
	sw = flows.Switch{Host: h.Name, OFPort: map[string]uint32{}}
	h.mu.Lock()
	maps.Copy(sw.OFPort, h.ports)
	h.mu.Unlock()
	return sw, complement(sw, states)
}

// SwitchThen is the switch of a host that is not registered any more.
func SwitchThen(name string, states ...*store.State) (sw flows.Switch, gone int) {
	sw = flows.Switch{Host: name, OFPort: map[string]uint32{}}
	return sw, complement(sw, states)
}

// firstReserved is where OpenFlow's numbers of ports begin that are no ports, such as LOCAL.
const firstReserved = 0xffffff00

// complement gives each interface that states want on a switch, and that has no number, one after all others'.
func complement(sw flows.Switch, states []*store.State) (given int) {
	last := uint32(0)
	for _, number := range sw.OFPort {
		if number < firstReserved {
			last = max(last, number)
		}
	}
	for _, s := range states {
		for _, name := range interfaces(s, sw.Host) {
			if _, has := sw.OFPort[name]; !has {
				given++
				sw.OFPort[name] = last + uint32(given)
			}
		}
	}
	return given
}

// MarkPort marks what depends on an interface that came, went or was renumbered, as of the state.
func (h *Host) MarkPort(s *store.State, iface string) {
	rev := s.Revision()
	if all := flows.AffectedPort(s, h.Name, iface, func(slice flows.Slice) { h.Mark(slice, rev) }); all {
		h.MarkAll(rev)
	}
	h.WakeIfMarked()
}

// assumed is a switch that has every interface that the state wants on a host, numbered from 1
// in the order of their names: the host's own first, then the ports'.
func assumed(s *store.State, host string) flows.Switch {
	sw := flows.Switch{Host: host, OFPort: map[string]uint32{}}
	for i, name := range interfaces(s, host) {
		sw.OFPort[name] = uint32(i + 1)
	}
	return sw
}

// interfaces are those that a state wants on a host: the host's own first, then the ports', by name.
func interfaces(s *store.State, host string) []string {
	var names []string
	for _, n := range s.NetworksOn(host) {
		for _, p := range s.PortsAt(host, n) {
			names = append(names, p.Value.Interface)
		}
	}
	slices.Sort(names)
	own := []string{store.TunnelInterface}
	if h := s.Host(host); h != nil && h.Value.Gateway {
		own = append(own, store.GatewayInterface)
	}
	return slices.Concat(append(own, store.ResolverInterface), names)
}
