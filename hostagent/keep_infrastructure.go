package hostagent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"sluice/store"
)

const (
	// infrastructureInterval is how often the hosts and controllers are read where no change is
	// told, and names are resolved again.
	infrastructureInterval = time.Minute
	// absenceTime is how long an address that nobody tells any more is kept. An absence may be a
	// controller's restart; and a tunnel address that goes stops packets.
	absenceTime = time.Hour
)

// infrastructure keeps the knowledge of what the cluster consists of: the addresses of all hosts,
// controllers and etcd's members. It outlives the agent, so that a restart while etcd is away
// changes nothing.
type infrastructure struct {
	o        Options
	store    Store
	problems *problems
	changed  bell // rings when an address came or went
	lookups  lookups

	mu     sync.Mutex
	now    members
	looked bool           // whether it was looked what the host was made for
	at     store.Revision // of the hosts that the last try read
	hosts  int
	absent map[netip.Addr]time.Time // since when nobody tells of an address
	claims map[netip.Addr]string    // which machine tells now that an address is its own; nil: this agent was not told yet
}

// members are the addresses of the cluster's machines, sorted. Told says that they were read from
// etcd, once: without that, there may be any.
type members struct {
	Told   bool         `json:"told"`
	Closed []netip.Addr `json:"closed"` // tenants must not reach them
	Peers  []netip.Addr `json:"peers"`  // tunnel addresses of the other hosts
	// Settings are the cluster's.
	Settings store.Settings `json:"settings,omitzero"`
}

// transit is the cluster's range of transit addresses.
func (m members) transit() store.Transit { return m.Settings.TransitOr(store.DefaultTransit) }

func newInfrastructure(o Options, p *problems, changed bell) *infrastructure {
	return &infrastructure{
		o: o, store: o.Store, problems: p, changed: changed, absent: make(map[netip.Addr]time.Time),
		lookups: lookups{lookup: net.DefaultResolver.LookupNetIP, found: make(map[string][]netip.Addr)},
	}
}

func (i *infrastructure) memory() string { return filepath.Join(i.o.StateDir, "infrastructure.json") }

// is what was known before.
func (i *infrastructure) is(ctx context.Context) (members, error) { return i.recall(ctx) }

// load reads what an earlier agent knew.
func (i *infrastructure) load() error {
	now, err := recall[members](i.memory(), "other hosts")
	if err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.now = now
	return nil
}

// should be what hosts and controllers tell now, and what the names of controllers and etcd mean.
func (i *infrastructure) should(ctx context.Context) (members, error) {
	hosts, at, err := i.store.List(ctx, store.KindHost)
	if err != nil {
		return members{}, fmt.Errorf("list hosts: %w", err)
	}
	controllers, _, err := i.store.List(ctx, store.KindLiveController)
	if err != nil {
		return members{}, fmt.Errorf("list controllers: %w", err)
	}
	settings, _, err := i.store.Get(ctx, store.SettingsKey())
	if err != nil {
		return members{}, fmt.Errorf("read the cluster's settings: %w", err)
	}
	named, err := i.lookups.resolve(ctx, slices.Concat(controllerHosts(i.o.Controllers), i.o.Names, etcdOf(controllers)))
	i.problems.report("names", err)
	others := slices.DeleteFunc(slices.Clone(hosts), func(e store.Event) bool { return e.Key.Host == i.o.Host })
	i.mu.Lock()
	i.at, i.hosts, i.claims = at, len(hosts), claimsOf(others, controllers, named)
	i.mu.Unlock()
	m := membersOf(others, controllers, named, i.o.VTEP)
	if s, set := settings.(*store.Settings); set {
		m.Settings = *s
	}
	return m, nil
}

// etcdOf are the machines of etcd's members that controllers tell of, each once. This host may have
// been told of some only.
func etcdOf(controllers []store.Event) (hosts []string) {
	for _, e := range controllers {
		hosts = append(hosts, e.Object.(*store.LiveController).Etcd...)
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// membersOf are the addresses that the other hosts and controllers tell, and those of names. This
// host's own need no closing: its kernel takes them for itself. One that claims this host's tunnel
// address is no peer.
func membersOf(hosts, controllers []store.Event, named []netip.Addr, own netip.Addr) members {
	claimed := slices.Collect(maps.Keys(claimsOf(hosts, controllers, named)))
	return members{Told: true, Closed: ordered(claimed), Peers: ordered(peersOf(hosts, own))}
}

// claimsOf are the addresses that hosts and controllers tell, and those of names, with who has each, for people.
func claimsOf(hosts, controllers []store.Event, named []netip.Addr) map[netip.Addr]string {
	claims := make(map[netip.Addr]string)
	claim := func(who string, all []netip.Addr) {
		for _, a := range all[:min(len(all), store.MaxHostAddresses)] {
			claims[a.Unmap()] = who
		}
	}
	for _, a := range named {
		claims[a.Unmap()] = "a controller or a member of etcd"
	}
	for _, e := range controllers {
		claim("controller "+e.Key.Name, e.Object.(*store.LiveController).Addresses)
	}
	for _, e := range hosts {
		h := e.Object.(*store.Host)
		claim("host "+e.Key.Host, h.VTEPs)
		claim("host "+e.Key.Host, h.Addresses)
	}
	return claims
}

// claimed is an error where another machine tells now that a floating address is its own. Until this agent was told it is who told an earlier one.
func (i *infrastructure) claimed(a netip.Addr) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	who := i.claims[a]
	if i.claims == nil && slices.Contains(i.now.Closed, a) {
		who = "a machine of the cluster"
	}
	if who == "" {
		return nil
	}
	return fmt.Errorf("floating address %s is published, and %s tells that it has it itself: publish on another one, or take it from there", a, who)
}

// ordered are addresses that others can have, sorted, each once.
func ordered(all []netip.Addr) []netip.Addr {
	list := make([]netip.Addr, 0, len(all))
	for _, a := range all {
		if a = a.Unmap().WithZone(""); a.IsGlobalUnicast() {
			list = append(list, a)
		}
	}
	slices.SortFunc(list, netip.Addr.Compare)
	return slices.Compact(list)
}

// makeSo remembers what came at once, and forgets what went only after absenceTime.
func (i *infrastructure) makeSo(_ context.Context, should, is members) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := time.Now()
	for _, a := range slices.Concat(should.Closed, should.Peers) {
		delete(i.absent, a)
	}
	should.Closed = i.withAbsent(should.Closed, is.Closed, now)
	should.Peers = i.withAbsent(should.Peers, is.Peers, now)
	if should.equal(is) {
		return nil
	}
	if err := remember(i.memory(), "the addresses of other hosts", should); err != nil {
		return err
	}
	i.now = should
	i.changed.ring()
	return nil
}

func (m members) equal(o members) bool {
	return m.Told == o.Told && reflect.DeepEqual(m.Settings, o.Settings) && slices.Equal(m.Closed, o.Closed) && slices.Equal(m.Peers, o.Peers)
}

// withAbsent is what there is, with those that were there until less than absenceTime ago. The
// caller has locked i.mu.
func (i *infrastructure) withAbsent(there, before []netip.Addr, now time.Time) []netip.Addr {
	all := slices.Clone(there)
	for _, a := range before {
		if _, found := slices.BinarySearchFunc(there, a, netip.Addr.Compare); found {
			continue
		}
		if _, noted := i.absent[a]; !noted {
			i.absent[a] = now
		}
		if now.Sub(i.absent[a]) < absenceTime {
			all = append(all, a)
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return all
}

// known is what was last known, also by an earlier agent.
func (i *infrastructure) known() members {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.now
}

// recall is what is known. Where nobody ever told of the cluster, that is what this host was made
// for: keepers that replace something ask here, so that they open nothing.
func (i *infrastructure) recall(ctx context.Context) (members, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.now.Told || i.looked {
		return i.now, nil
	}
	found, err := membersInPlace(ctx)
	if err != nil {
		return members{}, fmt.Errorf("read what this host was made for: %w", err)
	}
	i.now, i.looked = found, true
	return found, nil
}

// wait is the keeper's rhythm: it returns when a host or controller came, changed or went.
func (i *infrastructure) wait(ctx context.Context) {
	i.mu.Lock()
	at, rest := i.at, max(restInterval, restPerHost*time.Duration(i.hosts))
	i.mu.Unlock()
	awaitRested(ctx, rest, infrastructureInterval, at, i.store.AddressesChanged)
}

// lookups know what names mean. One that does not resolve now means what it meant before.
type lookups struct {
	lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)
	asked  []string  // the names of the last look
	next   time.Time // when names are looked up again
	found  map[string][]netip.Addr
	failed error // which names meant nothing at the last look
}

// lookupTime bounds the wait for all names.
const lookupTime = 5 * time.Second

// resolve gives all addresses of names, some of which may be addresses themselves. An error names
// those that mean nothing yet.
func (r *lookups) resolve(ctx context.Context, names []string) ([]netip.Addr, error) {
	if !slices.Equal(names, r.asked) || !time.Now().Before(r.next) {
		r.asked, r.next = slices.Clone(names), time.Now().Add(infrastructureInterval)
		r.failed = r.lookUp(ctx, names)
	}
	var all []netip.Addr
	for _, name := range names {
		if a, err := netip.ParseAddr(name); err == nil {
			all = append(all, a)
		} else {
			all = append(all, r.found[name]...)
		}
	}
	return all, r.failed
}

func (r *lookups) lookUp(ctx context.Context, names []string) error {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	var errs []error
	for _, name := range names {
		if _, err := netip.ParseAddr(name); err == nil {
			continue
		}
		addresses, err := r.lookup(ctx, "ip", name)
		switch {
		case err == nil:
			r.found[name] = addresses
		case r.found[name] == nil:
			errs = append(errs, fmt.Errorf("%s is not closed to tenants, give its addresses with --infrastructure: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// controllerHosts are the names or addresses in OpenFlow targets such as tcp:192.0.2.1:6653 or
// ssl:[2001:db8::1]:6653. Targets of other kinds have none.
func controllerHosts(targets []string) []string {
	var all []string
	for _, target := range targets {
		kind, at, _ := strings.Cut(target, ":")
		if host, _, err := net.SplitHostPort(at); err == nil && (kind == "tcp" || kind == "ssl") {
			all = append(all, host)
		}
	}
	return all
}
