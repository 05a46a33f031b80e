package resolver

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"

	"sluice/store"
)

// Names are the names of the ports of all tenants, and where each tenant is on this host. It is safe for
// concurrent use.
type Names struct {
	host string

	mu      sync.RWMutex
	tenants map[string]*tenant
	told    map[store.Kind]bool // kinds whose whole list was told
}

// tenant is what is known of one.
type tenant struct {
	number   uint32 // 0: not told
	limits   store.Limits
	here     int // ports on this host
	networks map[string]*network
}

// network is the subnets and ports of one.
type network struct {
	subnets []netip.Prefix
	ports   map[string][]*port     // by name
	aliases map[string][]*port     // by what their runtime calls them
	at      map[netip.Addr][]*port // by address
}

// port is one port. Of several with one name or address the oldest has it.
type port struct {
	key       store.Key
	created   store.Revision
	alias     string
	addresses []netip.Addr
}

// aliasLabel is the label under which a runtime tells what it calls a container, where the port's name is
// another: sluice-cni does.
const aliasLabel = "pod"

// NewNames knows nothing yet. host is the one whose tenants Here tells.
func NewNames(host string) *Names {
	return &Names{host: host, tenants: map[string]*tenant{}, told: map[store.Kind]bool{}}
}

// kinds are those that Apply needs.
var kinds = []store.Kind{store.KindTenant, store.KindNetwork, store.KindPort}

// Kinds are the kinds of objects that Apply is to be told of, each apart.
func Kinds() []store.Kind { return slices.Clone(kinds) }

// Apply takes in what the store holds of one kind: at first the whole list, then what changes. It reports whether
// tenants came to this host, left it, or may ask faster or slower here.
func (n *Names) Apply(kind store.Kind, b store.Batch) (changed bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.told[kind] = true
	for i := range b.Events {
		e := &b.Events[i]
		t := n.tenant(e.Key.Tenant)
		before := t.asks()
		n.event(t, e)
		changed = changed || t.asks() != before
		n.tidy(e.Key, t)
	}
	return changed
}

// Asker is a tenant that asks on this host.
type Asker struct {
	Number uint32 // 0: it does not
	Limits store.Limits
}

// asks is the tenant as it asks while it has a port on this host.
func (t *tenant) asks() Asker {
	if t.here == 0 || t.number == 0 {
		return Asker{}
	}
	return Asker{t.number, t.limits}
}

// known reports whether all kinds were told: before, the absence of a name says nothing. The caller holds mu.
func (n *Names) known() bool { return len(n.told) == len(kinds) }

func (n *Names) event(t *tenant, e *store.Event) {
	switch e.Key.Kind {
	case store.KindTenant:
		t.number, t.limits = 0, store.Limits{}
		if o, ok := e.Object.(*store.Tenant); ok {
			t.number, t.limits = o.Number, o.Limits
		}
	case store.KindNetwork:
		w := t.network(e.Key.Network)
		w.subnets = nil
		if o, ok := e.Object.(*store.Network); ok {
			for _, s := range o.Subnets {
				w.subnets = append(w.subnets, s.Prefix)
			}
		}
	case store.KindPort:
		w := t.network(e.Key.Network)
		t.count(n.host, w.remove(e.Key), -1)
		if o, ok := e.Object.(*store.Port); ok {
			t.count(n.host, w.add(e, o), 1)
		}
	}
}

func (n *Names) tenant(name string) *tenant {
	if n.tenants[name] == nil {
		n.tenants[name] = &tenant{networks: map[string]*network{}}
	}
	return n.tenants[name]
}

// tidy forgets a network and a tenant of which nothing is left.
func (n *Names) tidy(key store.Key, t *tenant) {
	if w := t.networks[key.Network]; w != nil && len(w.subnets)+len(w.ports) == 0 {
		delete(t.networks, key.Network)
	}
	if t.number == 0 && len(t.networks) == 0 {
		delete(n.tenants, key.Tenant)
	}
}

func (t *tenant) network(name string) *network {
	if t.networks[name] == nil {
		t.networks[name] = &network{ports: map[string][]*port{}, aliases: map[string][]*port{}, at: map[netip.Addr][]*port{}}
	}
	return t.networks[name]
}

// count notes that a port came to its host or left it.
func (t *tenant) count(host string, p *port, by int) {
	if p != nil && p.key.Host == host {
		t.here += by
	}
}

func (w *network) add(e *store.Event, o *store.Port) *port {
	p := &port{key: e.Key, created: e.Created, alias: o.Labels[aliasLabel]}
	if p.alias == p.key.Name {
		p.alias = ""
	}
	for _, a := range o.Addresses {
		p.addresses = append(p.addresses, a.Addr().Unmap())
	}
	w.ports[p.key.Name] = insert(w.ports[p.key.Name], p)
	if p.alias != "" {
		w.aliases[p.alias] = insert(w.aliases[p.alias], p)
	}
	for _, a := range p.addresses {
		w.at[a] = insert(w.at[a], p)
	}
	return p
}

// insert keeps the oldest first.
func insert(list []*port, p *port) []*port {
	at, _ := slices.BinarySearchFunc(list, p, func(a, b *port) int {
		return cmp.Or(cmp.Compare(a.created, b.created), cmp.Compare(a.key.Host, b.key.Host))
	})
	return slices.Insert(list, at, p)
}

// remove takes the port of a key out; nil: there was none.
func (w *network) remove(key store.Key) *port {
	at := slices.IndexFunc(w.ports[key.Name], func(p *port) bool { return p.key == key })
	if at < 0 {
		return nil
	}
	p := w.ports[key.Name][at]
	drop(w.ports, key.Name, p)
	drop(w.aliases, p.alias, p)
	for _, a := range p.addresses {
		drop(w.at, a, p)
	}
	return p
}

func drop[K comparable](m map[K][]*port, k K, p *port) {
	if m[k] = slices.DeleteFunc(m[k], func(q *port) bool { return q == p }); len(m[k]) == 0 {
		delete(m, k)
	}
}

// Here are the tenants that have a port on this host.
func (n *Names) Here() map[string]Asker {
	n.mu.RLock()
	defer n.mu.RUnlock()
	here := map[string]Asker{}
	for name, t := range n.tenants {
		if asker := t.asks(); asker.Number > 0 {
			here[name] = asker
		}
	}
	return here
}

// Count is how many ports have a name.
func (n *Names) Count() (ports int) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	for _, t := range n.tenants {
		for _, w := range t.networks {
			ports += len(w.ports)
		}
	}
	return ports
}
