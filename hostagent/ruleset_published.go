package hostagent

import (
	"fmt"
	"net/netip"
	"strings"

	"sigs.k8s.io/knftables"
)

// This file is what our table has for published ports: those of this host's own addresses, whichever, and those of floating addresses,
// where two tenants may have one port on two addresses.

const (
	// inPublished matches the packets of a set of published ports.
	inPublished = "meta l4proto . th dport"
	// inFloating matches those to ports of floating addresses, and openedFloating those that were sent there.
	inFloating     = "ip daddr . " + inPublished
	openedFloating = "ct original ip daddr . " + inPublished
)

// writePublishedSets adds what is published here: nothing yet.
func writePublishedSets(tx *knftables.Transaction) {
	tx.Add(&knftables.Map{Name: publishedMap, Type: "inet_proto . inet_service : ipv4_addr"})
	tx.Add(&knftables.Set{Name: openedSet, Type: "ipv4_addr . inet_proto . inet_service"})
	tx.Add(&knftables.Set{Name: hiddenSet, Type: "inet_proto . inet_service"})
	tx.Add(&knftables.Set{Name: floatingSet, Type: "ipv4_addr"})
	tx.Add(&knftables.Map{Name: floatingMap, Type: "ipv4_addr . inet_proto . inet_service : ipv4_addr"})
	tx.Add(&knftables.Set{Name: floatingHiddenSet, Type: "ipv4_addr . inet_proto . inet_service"})
}

// members are the elements of a published port. In the way that it opens the switch knows no address, since a tenant has a port once.
func (o opening) members() []member {
	port := fmt.Sprintf("%s . %d", o.Protocol, o.Port)
	at, leads, hidden := port, publishedMap, hiddenSet
	if o.floats() {
		at, leads, hidden = o.Address.String()+" . "+port, floatingMap, floatingHiddenSet
	}
	list := []member{{leads, at, o.Transit.String()}, {set: openedSet, key: o.Transit.String() + " . " + port}}
	if !o.KeepSource {
		list = append(list, member{set: hidden, key: at})
	}
	return list
}

// openingOf is the opening of an element of publishedMap or floatingMap.
func openingOf(m member) (o opening, err error) {
	port := m.key
	if m.set == floatingMap {
		at, rest, _ := strings.Cut(m.key, " . ")
		port = rest
		if o.Address, err = netip.ParseAddr(at); err != nil {
			return o, err
		}
	}
	if _, err = fmt.Sscanf(port, "%s . %d", &o.Protocol, &o.Port); err == nil {
		o.Transit, err = netip.ParseAddr(m.to)
	}
	return o, err
}

// openingsOnlyIn are the openings of elements that some sets have and others lack.
func openingsOnlyIn(some, others map[string][]string) (list []opening) {
	for _, set := range []string{publishedMap, floatingMap} {
		for _, text := range without(some[set], others[set]) {
			if o, err := openingOf(memberOf(set, text)); err == nil {
				list = append(list, o)
			}
		}
	}
	return list
}

// letPublishedIn lets connections in by the uplinks that writePublished sent to tenants.
func (r ruleset) letPublishedIn(rule func(why string, parts ...any)) {
	if len(r.uplinks) > 0 {
		rule("published ports", "iifname", names(r.uplinks).set(), toTenants, "ct status dnat ip daddr .", inPublished, "@"+openedSet, "accept")
	}
}

// writePublished sends what comes by the uplinks to a published port to its tenant's transit address: of a floating address, or of one of
// this host's own.
func (r ruleset) writePublished(tx *knftables.Transaction) {
	if len(r.uplinks) == 0 {
		return
	}
	rule := chain(tx, "prerouting", knftables.NATType, knftables.PreroutingHook, knftables.DNATPriority)
	in := "iifname " + names(r.uplinks).set()
	rule("published ports of floating addresses lead to tenants", in, "dnat ip to", inFloating, "map", "@"+floatingMap)
	rule("no others of these do", in, "ip daddr", "@"+floatingSet, "accept")
	rule("published ports lead to tenants", in, "fib daddr type local dnat ip to", inPublished, "map", "@"+publishedMap)
}

// hidePublished has containers see the address that was asked for in the place of who comes, unless they are to see that.
func hidePublished(rule func(why string, parts ...any)) {
	rule("who comes to a published port of a floating address is hidden", toTenants, "ct status dnat", openedFloating, "@"+floatingHiddenSet, "snat ip to ct original ip daddr")
	rule("or is to be seen", toTenants, "ct status dnat ct original ip daddr", "@"+floatingSet, "accept")
	rule("who comes to a published port is hidden", toTenants, "ct status dnat", inPublished, "@"+hiddenSet, "snat ip to ct original ip daddr")
}
