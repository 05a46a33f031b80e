package store

import (
	"cmp"
	"iter"
	"slices"
	"strings"
)

// members are the ports of one network, by host; both levels are kept sorted, so that
// whoever walks them gets one order everywhere.
type members struct {
	hosts []string
	ports map[string][]*Item[Port]
	count int
}

func comparePorts(a, b *Item[Port]) int {
	return cmp.Or(strings.Compare(a.Key.Name, b.Key.Name), strings.Compare(a.Key.Host, b.Key.Host))
}

// add returns how many ports the host has now.
func (m *members) add(p *Item[Port]) int {
	host := p.Key.Host
	ports, known := m.ports[host]
	if !known {
		at, _ := slices.BinarySearch(m.hosts, host)
		m.hosts = slices.Insert(m.hosts, at, host)
	}
	at, _ := slices.BinarySearchFunc(ports, p, comparePorts)
	m.ports[host] = slices.Insert(ports, at, p)
	m.count++
	return len(m.ports[host])
}

// remove returns how many ports the host has left.
func (m *members) remove(p *Item[Port]) int {
	host := p.Key.Host
	before := len(m.ports[host])
	ports := slices.DeleteFunc(m.ports[host], func(q *Item[Port]) bool { return q == p })
	m.count -= before - len(ports)
	if len(ports) > 0 {
		m.ports[host] = ports
		return len(ports)
	}
	delete(m.ports, host)
	if at, found := slices.BinarySearch(m.hosts, host); found {
		m.hosts = slices.Delete(m.hosts, at, at+1)
	}
	return 0
}

func (m *members) all() iter.Seq[*Item[Port]] {
	return func(yield func(*Item[Port]) bool) {
		if m == nil {
			return
		}
		for _, host := range m.hosts {
			for _, p := range m.ports[host] {
				if !yield(p) {
					return
				}
			}
		}
	}
}
