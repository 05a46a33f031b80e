package hostagent

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/knftables"

	"sluice/store"
)

// limitsTable is the nftables table, of family inet, that keeps each tenant's connections through
// this host's kernel to its limit: the kernel has one table of connections for all of them, and 64,512
// ports for all that go to one destination. It stands apart from the table that isolates tenants,
// since that is written anew whenever it is not listed as it was, and this one counts as it goes.
const limitsTable = "sluice-limits"

// kernelLimits keeps that table. What it counts starts anew when it is written; the tally has the sums.
type kernelLimits struct {
	o              Options
	tenants        *tenants
	infrastructure *infrastructure
	tally          *tally
}

// limitsWritten is what the agent remembers of the table: what it wanted, and how nft listed it then.
type limitsWritten struct {
	Text   string `json:"text"`
	Listed string `json:"listed"`
	// Lent are the numbers of the tenants that had slots which are not their numbers since then. What the table counts is theirs.
	Lent map[uint32]uint32 `json:"lent,omitempty"`
}

// readLimits is what was written last. What is unreadable is written anew.
func readLimits(o Options) (last limitsWritten) {
	if b, err := os.ReadFile(limitsMemory(o)); err == nil {
		_ = json.Unmarshal(b, &last)
	}
	return last
}

func (w limitsWritten) save(o Options) error {
	b, err := json.Marshal(w)
	if err != nil {
		return fmt.Errorf("encode what was written: %w", err)
	}
	return writeFile(limitsMemory(o), b)
}

func limitsMemory(o Options) string { return filepath.Join(o.StateDir, "limits.json") }

// numbers is what the table counted by slots, by the numbers of the tenants that had them.
func (w limitsWritten) numbers(bySlot map[uint32]uint64) map[uint32]uint64 {
	found := make(map[uint32]uint64, len(bySlot))
	for slot, n := range bySlot {
		found[cmp.Or(w.Lent[slot], slot)] += n
	}
	return found
}

// contradicts reports whether a slot went to another tenant since the table was written.
func (w limitsWritten) contradicts(r limitRules) bool {
	for slot, number := range r.numbers {
		if was, lent := w.Lent[slot]; lent && was != number {
			return true
		}
	}
	return false
}

// is what was wanted when the table was written, where nft still lists it so.
func (k kernelLimits) is(ctx context.Context) (string, error) {
	last := readLimits(k.o)
	if listed, err := listLimits(ctx); err != nil || listed != last.Listed {
		return "", nil
	}
	return last.Text, nil
}

func (k kernelLimits) should(context.Context) (limitRules, error) {
	return limitRulesOf(k.infrastructure.known().transit(), k.tenants.known(), kernelRoom()), nil
}

func (k kernelLimits) makeSo(ctx context.Context, should limitRules, is string) error {
	text, last := should.text(), readLimits(k.o)
	if text == is && !last.contradicts(should) {
		return k.noteLent(last, should)
	}
	nft, err := knftables.New(knftables.InetFamily, limitsTable)
	if err != nil {
		return err
	}
	tx := nft.NewTransaction()
	should.write(tx)
	if err := k.replace(ctx, should.transit, func() error { return nft.Run(ctx, tx) }); err != nil {
		return fmt.Errorf("nftables table %s: %w", limitsTable, err)
	}
	listed, err := listLimits(ctx)
	if err != nil {
		return err
	}
	return limitsWritten{text, listed, should.lent()}.save(k.o)
}

// noteLent remembers whose slots are that are new, where the table stays.
func (k kernelLimits) noteLent(last limitsWritten, should limitRules) error {
	before := len(last.Lent)
	if last.Lent == nil {
		last.Lent = make(map[uint32]uint32)
	}
	if maps.Copy(last.Lent, should.lent()); len(last.Lent) == before {
		return nil
	}
	return last.save(k.o)
}

// replace writes the table, and has the tally keep what the one before counted.
func (k kernelLimits) replace(ctx context.Context, transit store.Transit, write func() error) error {
	if dropped, err := listRefused(ctx, transit); err == nil { // else there is none
		k.tally.listed(readLimits(k.o).numbers(dropped))
	}
	if err := errors.Join(k.tally.save(), write()); err != nil {
		return err
	}
	return k.tally.anew()
}

// listLimits is the table as nft shows it, without what it counts.
func listLimits(ctx context.Context) (string, error) {
	b, err := exec.CommandContext(ctx, "nft", "--terse", "list", "table", "inet", limitsTable).Output()
	if err != nil {
		return "", fmt.Errorf("list nftables table %s: %w", limitsTable, err)
	}
	return string(b), nil
}

var refusedElement = regexp.MustCompile(`([0-9.]+) counter packets (\d+)`)

// listRefused is how many packets the table dropped since it was written, by the slot of whose they were.
func listRefused(ctx context.Context, transit store.Transit) (map[uint32]uint64, error) {
	b, err := exec.CommandContext(ctx, "nft", "list", "set", "inet", limitsTable, refusedSet).Output()
	if err != nil {
		return nil, fmt.Errorf("list set %s of nftables table %s: %w", refusedSet, limitsTable, err)
	}
	return parseRefused(string(b), transit), nil
}

// parseRefused reads the set as nft lists it.
func parseRefused(text string, transit store.Transit) map[uint32]uint64 {
	packets := make(map[uint32]uint64)
	for _, found := range refusedElement.FindAllStringSubmatch(text, -1) {
		address, err := netip.ParseAddr(found[1])
		n, err2 := strconv.ParseUint(found[2], 10, 64)
		if slot, ok := transit.Slot(address); ok && err == nil && err2 == nil {
			packets[slot] = n
		}
	}
	return packets
}

// limitRules are the limits of connections that the table keeps tenants to.
type limitRules struct {
	transit store.Transit
	all     connectionLimit            // of tenants that have none of their own
	own     map[uint32]connectionLimit // by the tenant's slot
	numbers map[uint32]uint32          // of tenants, by slot
}

// connectionLimit is how many connections a tenant may have in all, and to one destination.
type connectionLimit struct{ all, to int }

func (l connectionLimit) name() string { return fmt.Sprintf("most-%d", l.all) }

// kernelShare is the part of the kernel's table of connections that one tenant may take at most,
// whatever its limit.
const kernelShare = 8

// limitRulesOf are the rules for tenants on a host whose kernel has room for so many connections;
// 0: nobody knows how many.
func limitRulesOf(transit store.Transit, tenants leavers, room int) limitRules {
	r := limitRules{transit: transit, all: connectionsHere(store.Limits{}, room), own: make(map[uint32]connectionLimit), numbers: make(map[uint32]uint32)}
	for slot, l := range tenants {
		if limit := connectionsHere(l.Limits, room); limit != r.all {
			r.own[slot] = limit
		}
		r.numbers[slot] = tenants.number(slot)
	}
	return r
}

// lent are the numbers of tenants whose slot is another.
func (r limitRules) lent() map[uint32]uint32 {
	lent := maps.Clone(r.numbers)
	maps.DeleteFunc(lent, func(slot, number uint32) bool { return slot == number })
	return lent
}

func connectionsHere(l store.Limits, room int) connectionLimit {
	if most := room / kernelShare; most > 0 {
		l.Connections = min(l.MaxConnections(), most)
	}
	return connectionLimit{l.MaxConnections(), l.MaxConnectionsTo()}
}

// kernelRoom is how many connections the kernel's table has room for, or 0.
func kernelRoom() int {
	room, err := sysctlNumber("net/netfilter/nf_conntrack_max")
	if err != nil {
		return 0
	}
	return room
}

// afterForward is when connections are counted: after the table that isolates tenants let them pass.
const afterForward = knftables.BaseChainPriority("10")

const (
	refusedSet      = "refused" // transit addresses, with what was dropped of each
	refusedChain    = "refuse"
	refusedInChain  = "refuse-in" // of connections from outside to published ports
	mostAddresses   = store.MaxSlot
	mostConnections = 1 << 20 // destinations that are counted: more than the kernel has connections
)

// write replaces the whole table in one transaction.
func (r limitRules) write(tx *knftables.Transaction) {
	table := &knftables.Table{}
	tx.Add(table)
	tx.Delete(table)
	tx.Add(table)
	counted(tx, refusedSet, "ipv4_addr", mostAddresses)
	tx.Add(&knftables.Chain{Name: refusedChain})
	tx.Add(&knftables.Rule{Chain: refusedChain, Rule: "update @" + refusedSet + " { ip saddr counter } drop"})
	tx.Add(&knftables.Chain{Name: refusedInChain})
	tx.Add(&knftables.Rule{Chain: refusedInChain, Rule: "update @" + refusedSet + " { ip daddr counter } drop"})
	var written []connectionLimit
	for _, limit := range r.limits() {
		if !slices.Contains(written, limit) {
			written = append(written, limit)
			limit.write(tx)
		}
	}
	rule := chain(tx, "forward", knftables.FilterType, knftables.ForwardHook, afterForward)
	rule("not a tenant's new connection", `iifname != "`+store.GatewayInterface+`"`, `oifname != "`+store.GatewayInterface+`"`, "accept")
	rule("not a tenant's new connection", "ct state != new", "accept")
	for _, slot := range sortedNumbers(r.own) {
		rule("to a tenant with a limit of its own", toTenants, "ip daddr", r.transit.Address(slot), "goto", r.own[slot].name()+"-in")
	}
	rule("to any other tenant", toTenants, "goto", r.all.name()+"-in")
	for _, slot := range sortedNumbers(r.own) {
		rule("a tenant with a limit of its own", "ip saddr", r.transit.Address(slot), "goto", r.own[slot].name())
	}
	rule("any other tenant", "goto", r.all.name())
}

// limits are all of them, in the order of tenants.
func (r limitRules) limits() []connectionLimit {
	all := []connectionLimit{r.all}
	for _, slot := range sortedNumbers(r.own) {
		all = append(all, r.own[slot])
	}
	return all
}

// write adds the chain that keeps a tenant to the limit. The destination comes first: what is refused
// there is not counted among all.
func (l connectionLimit) write(tx *knftables.Transaction) {
	tx.Add(&knftables.Chain{Name: l.name()})
	counted(tx, l.name()+"-to", "ipv4_addr . ipv4_addr . inet_proto . inet_service", mostConnections)
	counted(tx, l.name()+"-all", "ipv4_addr", mostAddresses)
	tx.Add(&knftables.Rule{Chain: l.name(), Rule: fmt.Sprintf("meta l4proto { tcp, udp } add @%s-to { ip saddr . ip daddr . meta l4proto . th dport ct count over %d } goto %s", l.name(), l.to, refusedChain)})
	tx.Add(&knftables.Rule{Chain: l.name(), Rule: fmt.Sprintf("add @%s-all { ip saddr ct count over %d } goto %s", l.name(), l.all, refusedChain)})
	tx.Add(&knftables.Chain{Name: l.name() + "-in"})
	tx.Add(&knftables.Rule{Chain: l.name() + "-in", Rule: fmt.Sprintf("add @%s-all { ip daddr ct count over %d } goto %s", l.name(), l.all, refusedInChain)})
}

// counted adds a set whose elements rules make, each with what it counts.
func counted(tx *knftables.Transaction, name, kind string, size uint64) {
	tx.Add(&knftables.Set{Name: name, Type: kind, Size: &size, Flags: []knftables.SetFlag{knftables.DynamicFlag}})
}

// text is the table as one readable text.
func (r limitRules) text() string {
	tx := knftables.NewFake(knftables.InetFamily, limitsTable).NewTransaction()
	r.write(tx)
	return strings.TrimSpace(tx.String()) + "\n"
}
