package hostagent

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"sigs.k8s.io/knftables"

	"sluice/store"
)

// tableName is our own nftables table, of family inet. Nothing outside it is touched.
const tableName = "sluice"

// Sets of the table.
const (
	infrastructureSet = "infrastructure" // prefixes that tenants must not reach
	machinesSet       = "machines"       // addresses of hosts, controllers and etcd: the same
	peersSet          = "peers"          // tunnel addresses of the other hosts
	publishedMap      = "published"      // ports of this host, with the transit address of the tenant that each leads to
	openedSet         = "opened"         // the same, as they are once they lead there
	hiddenSet         = "hidden"         // those of them where containers do not see who comes

	floatingSet       = "floating"        // floating addresses that are here
	floatingMap       = "floating-ports"  // their ports, as publishedMap has those of the host's own addresses
	floatingHiddenSet = "floating-hidden" // as hiddenSet
)

// followed are those of them whose elements follow the cluster.
var followed = []string{machinesSet, peersSet, publishedMap, openedSet, hiddenSet, floatingSet, floatingMap, floatingHiddenSet}

// ruleset is what our table depends on.
type ruleset struct {
	frame
	members   members
	published []opening
	floating  []netip.Addr // floating addresses that are here or are to be, each once
}

// frame is all of it but the elements of the sets that follow the cluster. It is written whole.
type frame struct {
	gateway  bool           // this is a gateway host
	transit  store.Transit  // the tenants' transit addresses
	router   bool           // the host routes between its own interfaces too, as its operator wants
	uplinks  []string       // interfaces by which tenants leave
	closed   []netip.Prefix // what tenants must not open connections to, beside machines
	encap    string
	vtep     netip.Addr
	underlay string // the only interface by which tunnels come in; empty: any
	peers    bool   // the other hosts are known: their tunnels are let in, and no others
}

// write replaces the whole table in one transaction.
func (r ruleset) write(tx *knftables.Transaction) {
	table := &knftables.Table{}
	tx.Add(table)
	tx.Delete(table)
	tx.Add(table)
	writeContainers(tx)
	if r.peers {
		r.writeTunnels(tx)
	}
	if r.gateway {
		writeInfrastructure(tx, r.closed)
		tx.Add(&knftables.Set{Name: machinesSet, Type: "ipv4_addr"})
		writePublishedSets(tx)
		writeInput(tx)
		r.writeForward(tx)
		r.writePublished(tx)
		r.writeMasquerade(tx)
	}
	for _, e := range r.elements() {
		tx.Add(e.element())
	}
}

// member is one element of a set that follows the cluster.
type member struct {
	set string
	key string // its parts, with dots between
	to  string // of a map: what the key means
}

// text is the element as one word, from which memberOf reads it again.
func (m member) text() string {
	if m.to == "" {
		return m.key
	}
	return m.key + " : " + m.to
}

func memberOf(set, text string) member {
	key, to, _ := strings.Cut(text, " : ")
	return member{set, key, to}
}

func (m member) element() *knftables.Element {
	key := strings.Split(m.key, " . ")
	if m.to != "" {
		return &knftables.Element{Map: m.set, Key: key, Value: []string{m.to}}
	}
	return &knftables.Element{Set: m.set, Key: key}
}

// elements are those of the sets that follow the cluster.
func (r ruleset) elements() []member {
	var all []member
	if r.peers {
		for _, a := range r.members.Peers {
			if a.Is4() == r.vtep.Is4() {
				all = append(all, member{set: peersSet, key: a.String()})
			}
		}
	}
	if r.gateway {
		for _, a := range r.members.Closed {
			if a.Is4() {
				all = append(all, member{set: machinesSet, key: a.String()})
			}
		}
		for _, o := range r.published {
			all = append(all, o.members()...)
		}
		for _, a := range r.floating {
			all = append(all, member{set: floatingSet, key: a.String()})
		}
	}
	return all
}

// chain adds a base chain and returns how to add a rule with its reason.
func chain(tx *knftables.Transaction, name string, t knftables.BaseChainType, hook knftables.BaseChainHook, p knftables.BaseChainPriority) func(why string, parts ...any) {
	tx.Add(&knftables.Chain{Name: name, Type: &t, Hook: &hook, Priority: &p})
	return func(why string, parts ...any) {
		tx.Add(&knftables.Rule{Chain: name, Rule: knftables.Concat(parts...), Comment: &why})
	}
}

// writeContainers keeps the kernel's IPv4 and IPv6 off the containers' interfaces. In the
// userspace datapath it sees what they send, beside the switch, and would route it.
func writeContainers(tx *knftables.Transaction) {
	rule := chain(tx, "containers", knftables.FilterType, knftables.PreroutingHook, knftables.RawPriority)
	rule("containers talk to the switch alone", "iifname", quote(interfacePrefix+"*"), "drop")
	rule("and the resolver in its own namespace", "iifname", quote(store.ResolverInterface+"*"), "drop")
}

// writeInfrastructure adds the set of prefixes that are closed to tenants.
func writeInfrastructure(tx *knftables.Transaction, prefixes []netip.Prefix) {
	tx.Add(&knftables.Set{
		Name: infrastructureSet, Type: "ipv4_addr", Flags: []knftables.SetFlag{knftables.IntervalFlag},
	})
	for _, p := range outermost(prefixes) {
		if p.Addr().Is4() {
			tx.Add(&knftables.Element{Set: infrastructureSet, Key: []string{p.String()}})
		}
	}
}

const (
	fromTenants = `iifname "` + store.GatewayInterface + `"`
	toTenants   = `oifname "` + store.GatewayInterface + `"`
	known       = "ct state { established, related }"
)

// writeInput closes the host's own services to tenants.
func writeInput(tx *knftables.Transaction) {
	rule := chain(tx, "input", knftables.FilterType, knftables.InputHook, knftables.FilterPriority)
	rule("answers to the host's own connections", fromTenants, known, "accept")
	rule("tenants do not reach the host", fromTenants, "drop")
	rule("floating addresses answer pings", "ip daddr", "@"+floatingSet, "icmp type echo-request accept")
	rule("this host's programs are not on them", "ip daddr", "@"+floatingSet, "drop")
}

// writeForward lets tenants out by the uplinks, and in only what they asked for. It does not make
// the host a router between its own interfaces: forwarding was turned on at the uplinks for
// tenants' answers alone, unless the host is a router by its operator's will.
func (r ruleset) writeForward(tx *knftables.Transaction) {
	rule := chain(tx, "forward", knftables.FilterType, knftables.ForwardHook, knftables.FilterPriority)
	if !r.router && len(r.uplinks) > 0 {
		rule("this host is no router", "meta nfproto ipv4", "iifname", names(r.uplinks).set(), `oifname != "`+store.GatewayInterface+`"`,
			"ct state != { established, related }", "drop")
	}
	rule("not ours", `iifname != "`+store.GatewayInterface+`"`, `oifname != "`+store.GatewayInterface+`"`, "accept")
	rule("tenants do not meet in the kernel", fromTenants, toTenants, "drop")
	rule("TCP fits the tunnels", "tcp flags syn / syn,rst", "tcp option maxseg size set rt mtu")
	rule("answers", toTenants, known, "accept")
	r.letPublishedIn(rule)
	rule("nothing from outside reaches tenants", toTenants, "drop")
	if len(r.uplinks) > 0 {
		rule("tenants leave by an uplink", "oifname !=", names(r.uplinks).set(), "drop")
	} else {
		rule("no uplink is known", "drop")
	}
	rule("egress is IPv4", "meta nfproto != ipv4", "drop")
	rule("tenants speak as their transit addresses", "ip saddr !=", r.transit.Prefix, "drop")
	rule("infrastructure is closed", "ip daddr", "@"+infrastructureSet, "ct state != { established, related }", "drop")
	rule("hosts, controllers and etcd are closed", "ip daddr", "@"+machinesSet, "ct state != { established, related }", "drop")
	rule("tunnels are the hosts' own", "udp dport", fmt.Sprintf("{ %d, %d }", vxlanPort, genevePort), "drop")
	rule("tunnels are the hosts' own", "meta l4proto gre", "drop")
}

// set is an anonymous set of interface names.
func (n names) set() string {
	quoted := make([]string, len(n))
	for i, name := range n {
		quoted[i] = quote(name)
	}
	return "{ " + strings.Join(quoted, ", ") + " }"
}

// writeTunnels lets frames in from the other hosts alone, where the kernel takes tunnels apart: in
// the userspace datapath the switch does, before the kernel sees anything. Ports of encapsulations
// that this host does not use are not ours to close.
func (r ruleset) writeTunnels(tx *knftables.Transaction) {
	family, kind := "ip", "ipv4_addr"
	if r.vtep.Is6() {
		family, kind = "ip6", "ipv6_addr"
	}
	tx.Add(&knftables.Set{Name: peersSet, Type: kind})
	rule := chain(tx, "tunnels", knftables.FilterType, knftables.InputHook, knftables.FilterPriority)
	ours, inbound := r.tunnelMatch(), ""
	if r.underlay != "" {
		inbound = "iifname " + quote(r.underlay)
	}
	rule("frames come from hosts of the cluster", ours, inbound, family, "daddr", r.vtep, family, "saddr", "@"+peersSet, "accept")
	rule("and from nobody else", ours, "drop")
}

// tunnelMatch matches the packets of this host's encapsulation.
func (r ruleset) tunnelMatch() string {
	switch r.encap {
	case "vxlan":
		return fmt.Sprint("udp dport ", vxlanPort)
	case "geneve":
		return fmt.Sprint("udp dport ", genevePort)
	}
	return "meta l4proto gre"
}

// writeMasquerade gives tenants' egress the host's address.
func (r ruleset) writeMasquerade(tx *knftables.Transaction) {
	rule := chain(tx, "postrouting", knftables.NATType, knftables.PostroutingHook, knftables.SNATPriority)
	hidePublished(rule)
	rule("tenants leave as this host", "ip saddr", r.transit.Prefix, `oifname != "`+store.GatewayInterface+`"`, "masquerade")
}

func quote(s string) string { return `"` + s + `"` }

// outermost drops prefixes that lie in others, masks the rest and sorts them: a set of
// intervals refuses those that overlap.
func outermost(prefixes []netip.Prefix) []netip.Prefix {
	sorted := make([]netip.Prefix, 0, len(prefixes))
	for _, p := range prefixes {
		sorted = append(sorted, p.Masked())
	}
	slices.SortFunc(sorted, func(p, q netip.Prefix) int {
		if c := p.Addr().Compare(q.Addr()); c != 0 {
			return c
		}
		return p.Bits() - q.Bits()
	})
	kept := sorted[:0]
	for _, p := range sorted {
		if n := len(kept); n == 0 || !kept[n-1].Contains(p.Addr()) {
			kept = append(kept, p)
		}
	}
	return kept
}

// text is the table as one readable text, as the golden file shows it.
func (r ruleset) text() string {
	tx := knftables.NewFake(knftables.InetFamily, tableName).NewTransaction()
	r.write(tx)
	return strings.TrimSpace(tx.String()) + "\n"
}
