package store

import (
	"iter"
	"maps"
	"slices"
	"time"
)

// KindGateway is {tenant}.
const KindGateway Kind = "gateways"

// GatewayKey is the key of a tenant's gateway.
func GatewayKey(tenant string) Key { return Key{Kind: KindGateway, Tenant: tenant} }

// Gateway says through which host a tenant's egress leaves now, and through which its earlier
// connections do. See docs/design/041-moving-gateways.md for how one value follows another.
type Gateway struct {
	Active string `json:"active"`
	// Draining are hosts through which earlier connections go on: the others ask them for what they do not know.
	Draining []string `json:"draining,omitempty"`
	// Standby are hosts that hold all that the tenant needs to leave by them. Nobody sends there, and nobody asks them.
	Standby []string `json:"standby,omitempty"`
	// Backup is where hosts send while their probes find the active one dead. It holds the tenant's flows like a standby.
	Backup string `json:"backup,omitempty"`

	Epoch uint64    `json:"epoch"` // grows each time that another host becomes active
	Why   string    `json:"why,omitempty"`
	Since time.Time `json:"since,omitzero"` // when the active host became that
	// Balanced says that it came there so that gateway hosts carry alike: such moves have a budget.
	Balanced bool `json:"balanced,omitempty"`
	// Move is where the gateway goes next. That host holds the tenant's flows like a standby.
	Move *Move `json:"move,omitempty"`
	// Relay says how far its members are on the way to relay what passes between the tenant's hosts, or away from that.
	Relay Relay `json:"relay,omitempty"`
	// Ending says of each draining host when its connections end.
	Ending map[string]Ending `json:"ending,omitempty"`
	// Slots are what hosts tell the tenant's connections by, where that is not its number: see State.Slot.
	Slots map[string]uint32 `json:"slots,omitempty"`
}

// Move is a gateway's way to another host.
type Move struct {
	To      string    `json:"to"`
	Since   time.Time `json:"since,omitzero"`   // when it was asked for
	Timeout int       `json:"timeout"`          // seconds that connections may go on through the host before
	Why     string    `json:"why,omitempty"`    // who or what asked for it
	Chosen  bool      `json:"chosen,omitempty"` // the leader asked, since the policy or a drain wants it
	// Balanced says that it moves so that gateway hosts carry alike.
	Balanced bool `json:"balanced,omitempty"`
}

// Ending is how connections end on a host that drains.
type Ending struct {
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`           // what is left then is cut
	Quiet bool      `json:"quiet,omitempty"` // no host sends new connections there any more
}

// MaxDraining bounds the hosts that drain for one tenant: each is asked in turn for what another does not know.
const MaxDraining = 3

// Members are the hosts that hold the tenant's flows as gateway hosts, each once, the active one first.
func (g *Gateway) Members() []string { return distinct(append(g.Movers(), g.Backup)) }

// Leave takes a host that gets another part out of its part as the backup: it may be asked for connections soon, and a
// backup asks the active host for none.
func (g *Gateway) Leave(host string) {
	if g.Backup == host {
		g.Backup = ""
	}
}

// Movers are the members that have a part in a move, the active one first; that one alone while nothing moves.
func (g *Gateway) Movers() []string {
	movers := []string{g.Active}
	if g.Move != nil {
		movers = append(movers, g.Move.To)
	}
	return distinct(slices.Concat(movers, g.Standby, g.Draining))
}

// Asked are the members that may know connections, each once: the active one, and those that drain.
func (g *Gateway) Asked() []string { return distinct(append([]string{g.Active}, g.Draining...)) }

// distinct are names without those that came before, and without empty ones.
func distinct(names []string) []string {
	var once []string
	for _, n := range names {
		if n != "" && !slices.Contains(once, n) {
			once = append(once, n)
		}
	}
	return once
}

// At reports whether a host is a gateway host of the tenant in any way.
func (g *Gateway) At(host string) bool { return slices.Contains(g.Members(), host) }

// Settled reports whether the gateway is where it is to be, and nothing waits to end.
func (g *Gateway) Settled() bool {
	return g.Move == nil && len(g.Draining) == 0 && len(g.Standby) == 0 && g.Relay != RelayReady
}

// Kind is KindGateway.
func (*Gateway) Kind() Kind { return KindGateway }

var gatewayKind = &description[string, Gateway, *Gateway]{
	facts: facts{
		label:  "gateway",
		parts:  []part{partTenant},
		writer: "the leader of the controllers; the API asks for a move", reader: "controllers, agents",
		hostReads: allObjects,
		refers:    []reference{{to: KindTenant, onDelete: follows, needed: true}},
	},
	table: func(s *State) *table[string, Gateway] { return &s.gateways.table },
	id:    func(k Key) string { return k.Tenant },
	packs: GatewayKey,
	index: indexGateway,
}

// gateways is what State keeps of gateways.
type gateways struct {
	table[string, Gateway]
	via       sets[string, string]    // host -> tenants that it is a gateway of
	activeVia map[string]int          // host -> tenants whose gateway it is now
	backupVia map[string]int          // host -> tenants whose backup it is now
	unsettled marked                  // tenants whose gateway is not Settled
	unbacked  marked                  // tenants whose gateway has no backup
	balanced  marked                  // tenants whose gateway moves, or came where it is, so that hosts carry alike
	slots     map[string]*slotHolders // host -> its slots
}

func indexGateway(a *application, g *Item[Gateway], add bool) {
	gs := &a.gateways
	if gs.activeVia == nil {
		gs.activeVia, gs.backupVia = map[string]int{}, map[string]int{}
	}
	tally(gs.activeVia, g.Value.Active, add)
	tally(gs.backupVia, g.Value.Backup, add)
	gs.unsettled.put(g.Key.Tenant, add && !g.Value.Settled())
	gs.unbacked.put(g.Key.Tenant, add && g.Value.Backup == "")
	gs.balanced.put(g.Key.Tenant, add && (g.Value.Balanced || g.Value.Move != nil && g.Value.Move.Balanced))
	indexSlots(a, g, add)
	for _, host := range g.Value.Members() {
		if add {
			gs.via.add(host, g.Key.Tenant)
		} else {
			gs.via.remove(host, g.Key.Tenant)
			a.former.hosts.add(g.Key.Tenant, host)
		}
	}
}

// tally counts one more or one less under a name. What is 0 has no entry.
func tally(counts map[string]int, name string, add bool) {
	if add {
		counts[name]++
	} else if counts[name]--; counts[name] == 0 {
		delete(counts, name)
	}
}

// Gateway is where a tenant's egress leaves, or nil while no host was chosen.
func (s *State) Gateway(tenant string) *Item[Gateway] { return s.gateways.get(tenant) }

// Gateways walks all gateways, sorted by tenant.
func (s *State) Gateways() iter.Seq[*Item[Gateway]] { return sorted(&s.gateways.table) }

// TenantsVia are the tenants that have a host among their gateway hosts in any way, sorted.
func (s *State) TenantsVia(host string) []string {
	return slices.Sorted(maps.Keys(s.gateways.via.sets[host]))
}

// ActiveVia counts the tenants whose gateway is at a host now, without those that it drains.
func (s *State) ActiveVia(host string) int { return s.gateways.activeVia[host] }

// BackupVia counts the tenants whose backup a host is.
func (s *State) BackupVia(host string) int { return s.gateways.backupVia[host] }

// Unsettled are the tenants whose gateway moves, or of which something waits to end, sorted.
func (s *State) Unsettled() []string { return s.gateways.unsettled.sorted() }

// Unbacked are the tenants whose gateway has no backup, sorted.
func (s *State) Unbacked() []string { return s.gateways.unbacked.sorted() }

// BalancedGateways are the gateways that move, or came where they are, so that hosts carry alike; sorted by tenant.
func (s *State) BalancedGateways() iter.Seq[*Item[Gateway]] {
	return func(yield func(*Item[Gateway]) bool) {
		for _, tenant := range s.gateways.balanced.sorted() {
			if !yield(s.Gateway(tenant)) {
				return
			}
		}
	}
}
