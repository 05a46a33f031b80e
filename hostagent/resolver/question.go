package resolver

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"sluice/store"
)

// Zone is the domain of all names of ports: NAME.TENANT.sluice and NAME.NETWORK.TENANT.sluice.
const Zone = "sluice."

// finding is what a name of a tenant's own stands for.
type finding struct {
	exists    bool
	addresses []netip.Addr // of ports of that name
	pointer   string       // the name of the port that has the address asked for
}

// find looks for what somebody of a tenant asks for. own is false where the name is none of those that the
// resolver answers for itself; known is false while the store was not read yet.
//
// A name of another tenant takes the same steps as one that nobody has.
func (n *Names) find(asker string, from netip.Addr, name string) (f finding, own, known bool) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	t := n.tenants[asker]
	if t == nil {
		t = &tenant{}
	}
	address, reverse := addressOf(name)
	switch {
	case reverse && (t.has(address) || !forwarded(address)):
		return t.pointer(asker, address), true, n.known()
	case reverse:
		return f, false, true
	case name == Zone, name == asker+"."+Zone:
		return finding{exists: true}, true, true
	case dns.IsSubDomain(Zone, name):
		return t.inZone(asker, from, strings.TrimSuffix(name, "."+Zone)), true, n.known()
	case dns.CountLabel(name) == 1:
		return t.short(from, strings.TrimSuffix(name, ".")), true, n.known()
	}
	return f, false, true
}

// inZone finds NAME.TENANT, NAME.NETWORK.TENANT or NETWORK.TENANT.
func (t *tenant) inZone(asker string, from netip.Addr, name string) finding {
	rest, last := split(name)
	first, network := split(rest)
	var f finding
	if network == "" {
		f = t.short(from, first)
		f.exists = f.exists || t.networks[first] != nil
	} else if w := t.networks[network]; w != nil {
		f = w.named(first)
	}
	if last != asker {
		return finding{} // looked up all the same, so that it takes as long
	}
	return f
}

// split takes the last label off a name: "" where it is the only one.
func split(name string) (rest, last string) {
	at := strings.LastIndexByte(name, '.')
	if at < 0 {
		return name, ""
	}
	return name[:at], name[at+1:]
}

// short finds a name without a network: in the asker's own first, then in the tenant's default network, then in
// its others by name.
func (t *tenant) short(from netip.Addr, name string) finding {
	for _, w := range t.order(from) {
		if f := t.networks[w].named(name); f.exists {
			return f
		}
	}
	return finding{}
}

// order are the tenant's networks as somebody at an address looks through them.
func (t *tenant) order(from netip.Addr) []string {
	rank := func(name string) int {
		switch {
		case t.networks[name].contains(from):
			return 0
		case name == store.DefaultNetwork:
			return 1
		}
		return 2
	}
	return slices.SortedFunc(maps.Keys(t.networks), func(a, b string) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b))
	})
}

func (w *network) contains(a netip.Addr) bool {
	return slices.ContainsFunc(w.subnets, func(p netip.Prefix) bool { return p.Contains(a) })
}

// named are the addresses of a port, or of all ports that runtimes call so.
func (w *network) named(name string) finding {
	if ports := w.ports[name]; len(ports) > 0 {
		return finding{exists: true, addresses: ports[0].addresses}
	}
	var f finding
	for _, p := range w.aliases[name] {
		f.exists = true
		f.addresses = append(f.addresses, p.addresses...)
	}
	return f
}

// has reports whether an address is of a subnet of the tenant.
func (t *tenant) has(a netip.Addr) bool {
	for _, w := range t.networks {
		if w.contains(a) {
			return true
		}
	}
	return false
}

// pointer is the name of the port that has an address: the short one, where that leads to it from everywhere.
func (t *tenant) pointer(asker string, a netip.Addr) finding {
	for _, w := range t.order(a) {
		ports := t.networks[w].at[a]
		if len(ports) == 0 {
			continue
		}
		p := ports[0]
		name := p.key.Name + "." + p.key.Network + "." + asker + "." + Zone
		if len(t.networks) == 1 || slices.Equal(t.short(netip.Addr{}, p.key.Name).addresses, p.addresses) {
			name = p.key.Name + "." + asker + "." + Zone
		}
		return finding{exists: true, pointer: name}
	}
	return finding{}
}

// addressOf is the address that a name of in-addr.arpa or ip6.arpa asks for, or that its zone begins with.
func addressOf(name string) (a netip.Addr, ok bool) {
	labels := dns.SplitDomainName(name)
	slices.Reverse(labels)
	if len(labels) < 3 || labels[0] != "arpa" {
		return a, false
	}
	switch digits := labels[2:]; labels[1] {
	case "in-addr":
		for len(digits) < 4 {
			digits = append(digits, "0")
		}
		a, err := netip.ParseAddr(strings.Join(digits, "."))
		return a, err == nil
	case "ip6":
		text := strings.Join(digits, "")
		text += strings.Repeat("0", max(0, 32-len(text)))
		var groups []string
		for len(text) >= 4 {
			groups, text = append(groups, text[:4]), text[4:]
		}
		a, err := netip.ParseAddr(strings.Join(groups, ":"))
		return a, err == nil
	}
	return a, false
}

// forwarded reports whether upstream is asked who has an address: not of private ones, which are the
// infrastructure's at best (RFC 6303).
func forwarded(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() && !shared.Contains(a)
}

// shared is the range between carriers and their customers (RFC 6598), of which Sluice takes transit addresses.
var shared = netip.MustParsePrefix("100.64.0.0/10")
