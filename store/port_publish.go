package store

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math/bits"
	"slices"
)

// MaxPortPublished bounds the ports of hosts that one port publishes itself: each is a flow.
const MaxPortPublished = 128

// PortPublication is what a port publishes itself: ports of its tenant's gateway host lead to ports of its container for as long as
// it is there. A host may write nothing of tenants, so it stands in the port's own key.
type PortPublication struct {
	Protocol Protocol `json:"protocol"`
	First    uint16   `json:"first"` // of the container's ports
	On       uint16   `json:"on"`    // the first of the host's ports
	Count    uint16   `json:"count"` // how many follow each other on both sides
}

// String is the publication for people, as Docker writes it: 8080:80/tcp.
func (p PortPublication) String() string {
	return fmt.Sprintf("%s:%s/%s", PortRange(p.On, p.Count), PortRange(p.First, p.Count), p.Protocol)
}

// JoinPublications makes ranges of what follows each other, sorted by protocol and port of the host. What is said twice is said once.
func JoinPublications(list []PortPublication) (joined []PortPublication) {
	list = slices.Clone(list)
	slices.SortFunc(list, func(p, q PortPublication) int {
		return cmp.Or(cmp.Compare(p.Protocol, q.Protocol), cmp.Compare(p.On, q.On), cmp.Compare(p.First, q.First))
	})
	for _, p := range slices.Compact(list) {
		if n := len(joined) - 1; n >= 0 && joined[n].leadsOnTo(p) {
			joined[n].Count += p.Count
			continue
		}
		joined = append(joined, p)
	}
	return joined
}

// leadsOnTo reports whether another one begins on both sides where this one ends.
func (p PortPublication) leadsOnTo(q PortPublication) bool {
	return p.Protocol == q.Protocol && int(p.On)+int(p.Count) == int(q.On) && int(p.First)+int(p.Count) == int(q.First)
}

// validatePublished refuses what a port may not publish.
func validatePublished(list []PortPublication) error {
	ports := 0
	for i, p := range list {
		one := p.publication(Key{}, 0)
		if flaw := one.flaw(); flaw != "" {
			return fmt.Errorf("published %s: %s", p, flaw)
		}
		for _, other := range list[:i] {
			if one.meets(other.publication(Key{}, 0)) {
				return fmt.Errorf("published %s: %s asks for the same port of the host", p, other)
			}
		}
		ports += int(p.Count)
	}
	if ports > MaxPortPublished {
		return fmt.Errorf("it publishes %d ports, and a port may publish %d: let sluice publish do it", ports, MaxPortPublished)
	}
	return nil
}

// publication is what it means for the port of a key.
func (p PortPublication) publication(from Key, mark uint32) *Publication {
	return &Publication{Network: from.Network, Port: from.Name, Protocol: p.Protocol, First: p.First, On: p.On, Count: p.Count, From: from, Mark: mark}
}

// ofPort reports whether a port publishes it itself.
func (p *Publication) ofPort() bool { return p.From != Key{} }

// PublishedBy are the publications that a port makes itself, named by their ports on the host and by the port's uid. Each has a
// mark of its own, of the uid too, so that it keeps it when the port moves. What is more than one port may publish is left out.
func PublishedBy(port *Item[Port]) (list []*Item[Publication]) {
	ports, mark := 0, uidMark(port.Value.UID)
	for i, p := range port.Value.Publish {
		if ports += int(p.Count); ports > MaxPortPublished {
			break
		}
		value := p.publication(port.Key, mark^bits.Reverse32(uint32(i)))
		name := PublicationSpec{Protocol: p.Protocol, On: p.On, Count: p.Count}.Name()
		list = append(list, &Item[Publication]{
			Key:   PublicationKey(port.Key.Tenant, fmt.Sprintf("%s-of-%s", name, port.Value.UID)),
			Value: value, Created: port.Created, Modified: port.Modified,
		})
	}
	return list
}

// uidMark is a number that stands for a port's uid.
func uidMark(uid string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(uid)) // which never fails
	return h.Sum32()
}

// putPort brings what a port publishes itself into the indexes, or out of them.
func (ps *publications) putPort(port *Item[Port], add bool) {
	list := ps.byPort[port.Key]
	if add {
		list = PublishedBy(port)
	}
	for _, p := range list {
		ps.put(p, add)
	}
	switch {
	case len(list) == 0:
	case !add:
		delete(ps.byPort, port.Key)
	default:
		if ps.byPort == nil {
			ps.byPort = map[Key][]*Item[Publication]{}
		}
		ps.byPort[port.Key] = list
	}
}

// withoutPort says why what a port publishes itself is not let in; empty: nothing is wrong with the port.
func (s *State) withoutPort(key Key) string {
	port := s.Port(key)
	switch {
	case port == nil:
		return fmt.Sprintf("port %s is not there", key.Short())
	case s.portByName(key.NetworkName(), key.Name) != port:
		return fmt.Sprintf("an older port has the name of %s", key.Short())
	}
	return ""
}

// RefusePublished is why what a new port would publish is not let in by the gateway host that its tenant has now; nil: it is, or waits
// for a gateway. The state has the publications, those of ports too, and of the tenants the gateways.
func (s *State) RefusePublished(spec PortSpec) error {
	s.Apply(Batch{Revision: s.Revision() + 1, Events: []Event{{
		Key: spec.Key(), Object: &Port{UID: spec.UID, Number: maxPortNumber, Publish: spec.Publish}, Created: s.Revision() + 1, Modified: s.Revision() + 1,
	}}})
	for _, p := range s.publications.byPort[spec.Key()] {
		if host, why := s.PublishedAt(p); why != nil && host != "" {
			return fmt.Errorf("%s %s: %w: %s", p.Value.Protocol, PortRange(p.Value.On, p.Value.Count), ErrTaken, why.Words(func(string) bool { return false }))
		}
	}
	return nil
}
