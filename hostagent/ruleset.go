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

const infrastructureSet = "infrastructure"

// ruleset is what our table depends on.
type ruleset struct {
	gateway bool           // this is a gateway host
	closed  []netip.Prefix // what tenants must not open connections to
}

// write replaces the whole table in one transaction.
func (r ruleset) write(tx *knftables.Transaction) {
	table := &knftables.Table{}
	tx.Add(table)
	tx.Delete(table)
	tx.Add(table)
	writeContainers(tx)
	if !r.gateway {
		return
	}
	writeInfrastructure(tx, r.closed)
	writeInput(tx)
	writeForward(tx)
	writeMasquerade(tx)
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
}

// writeForward lets tenants out, and in only what they asked for.
func writeForward(tx *knftables.Transaction) {
	rule := chain(tx, "forward", knftables.FilterType, knftables.ForwardHook, knftables.FilterPriority)
	rule("not ours", `iifname != "`+store.GatewayInterface+`"`, `oifname != "`+store.GatewayInterface+`"`, "accept")
	rule("tenants do not meet in the kernel", fromTenants, toTenants, "drop")
	rule("TCP fits the tunnels", "tcp flags syn / syn,rst", "tcp option maxseg size set rt mtu")
	rule("answers", toTenants, known, "accept")
	rule("nothing from outside reaches tenants", toTenants, "drop")
	rule("egress is IPv4", "meta nfproto != ipv4", "drop")
	rule("tenants speak as their transit addresses", "ip saddr !=", store.TransitRange, "drop")
	rule("infrastructure is closed", "ip daddr", "@"+infrastructureSet, "ct state != { established, related }", "drop")
	rule("tunnels are the hosts' own", "udp dport", fmt.Sprintf("{ %d, %d }", vxlanPort, genevePort), "drop")
	rule("tunnels are the hosts' own", "meta l4proto gre", "drop")
}

// writeMasquerade gives tenants' egress the host's address.
func writeMasquerade(tx *knftables.Transaction) {
	rule := chain(tx, "postrouting", knftables.NATType, knftables.PostroutingHook, knftables.SNATPriority)
	rule("tenants leave as this host", "ip saddr", store.TransitRange, `oifname != "`+store.GatewayInterface+`"`, "masquerade")
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

// text is the table as one readable text: what the golden file shows, and what the agent
// remembers of the table that it wrote.
func (r ruleset) text() string {
	tx := knftables.NewFake(knftables.InetFamily, tableName).NewTransaction()
	r.write(tx)
	return strings.TrimSpace(tx.String()) + "\n"
}
