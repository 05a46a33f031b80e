package store

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"
)

// KindPublication is {tenant}/{name}.
const KindPublication Kind = "published"

// PublicationKey is the key of a publication.
func PublicationKey(tenant, name string) Key {
	return Key{Kind: KindPublication, Tenant: tenant, Name: name}
}

// MaxPublishedPorts bounds the ports of hosts that one tenant's publications have together: each is a flow.
const MaxPublishedPorts = 1000

// Publication lets the outside open connections to a container: ports of the tenant's gateway host, or of a floating address there, lead
// to ports of it.
type Publication struct {
	TenantCreated Revision `json:"tenantCreated"` // another tenant of the name did not publish it
	Network       string   `json:"network"`
	Port          string   `json:"port"` // its name: whoever has it is reached
	Protocol      Protocol `json:"protocol"`
	First         uint16   `json:"first"` // of the container's ports
	On            uint16   `json:"on"`    // the first of the host's ports
	Count         uint16   `json:"count"` // how many follow each other on both sides
	// KeepSource lets the container see who opens a connection. Else all come from the gateway host.
	KeepSource bool       `json:"keepSource,omitempty"`
	Address    netip.Addr `json:"address,omitzero"` // a floating one; none: the gateway host's own
	Route      Route      `json:"route,omitzero"`   // by which the entries of hosts lead here; none: the outside comes by the host's ports
	By         string     `json:"by,omitempty"`     // who asked for it

	// From is the port that publishes this itself, and Mark what its connections are known by then; the tenant's own have neither.
	From Key    `json:"-"`
	Mark uint32 `json:"-"`
}

// Protocol is one that has ports.
type Protocol string

// The protocols of publications.
const (
	ProtocolTCP Protocol = "tcp"
	ProtocolUDP Protocol = "udp"
)

// Endpoint is a port of a host or of a container, in one protocol. Its text is "tcp 8080".
type Endpoint struct {
	Protocol Protocol
	Port     uint16
}

func (e Endpoint) String() string { return fmt.Sprintf("%s %d", e.Protocol, e.Port) }

// MarshalText implements encoding.TextMarshaler.
func (e Endpoint) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (e *Endpoint) UnmarshalText(b []byte) error {
	if _, err := fmt.Sscanf(string(b), "%s %d", &e.Protocol, &e.Port); err != nil {
		return fmt.Errorf("%q is no port such as \"tcp 22\": %w", b, err)
	}
	return nil
}

// tunnelPorts are those by which hosts send each other tenants' frames.
var tunnelPorts = []Endpoint{{ProtocolUDP, 4789}, {ProtocolUDP, 6081}}

// Kind is KindPublication.
func (*Publication) Kind() Kind { return KindPublication }

var publicationKind = &description[Key, Publication, *Publication]{
	facts: facts{
		label:  "publication",
		parts:  []part{partTenant, partName},
		writer: "API", reader: "controllers, agents of gateway hosts",
		hostReads: allObjects,
		refers:    []reference{{to: KindTenant, onDelete: follows}},
	},
	table: func(s *State) *table[Key, Publication] { return &s.publications.table },
	id:    func(k Key) Key { return k },
	index: indexPublication,
}

// publications is what State keeps of publications: the tenants' own are in the table, those of ports only in the rest.
type publications struct {
	table[Key, Publication]
	of     sets[string, *Item[Publication]]         // tenant -> its
	at     sets[Endpoint, *Item[Publication]]       // port of a host, or of a route -> those that ask for it
	to     sets[scoped[string], *Item[Publication]] // port of a network, by name -> those that lead there
	on     sets[netip.Addr, *Item[Publication]]     // floating address -> those on it
	by     sets[string, *Item[Publication]]         // host name of a route -> those that ask for it
	marked sets[tenantMark, *Item[Publication]]
	byPort map[Key][]*Item[Publication] // port -> what it publishes itself
}

// tenantMark is a mark of connections in a tenant's zone.
type tenantMark struct {
	tenant string
	mark   uint32
}

func indexPublication(a *application, p *Item[Publication], add bool) { a.publications.put(p, add) }

func (ps *publications) put(p *Item[Publication], add bool) {
	ps.of.put(p.Key.Tenant, p, add)
	ps.to.put(p.Value.target(p.Key.Tenant), p, add)
	ps.marked.put(tenantMark{p.Key.Tenant, PublicationMark(p)}, p, add)
	if p.Value.Routed() {
		ps.by.put(p.Value.Route.Host, p, add)
	}
	if p.Value.Floats() {
		ps.on.put(p.Value.Address, p, add)
	}
	for e := range p.Value.HostPorts() {
		ps.at.put(e, p, add)
	}
}

// target is the port that it leads to, by name.
func (p *Publication) target(tenant string) scoped[string] {
	return scoped[string]{NetworkName{tenant, p.Network}, p.Port}
}

// HostPorts are the ports of the gateway host, in order.
func (p *Publication) HostPorts() iter.Seq[Endpoint] { return p.endpoints(p.On) }

// ContainerPorts are the ports of the container that they lead to, in the same order.
func (p *Publication) ContainerPorts() iter.Seq[Endpoint] { return p.endpoints(p.First) }

func (p *Publication) endpoints(first uint16) iter.Seq[Endpoint] {
	return func(yield func(Endpoint) bool) {
		for i := range int(p.Count) {
			if port := int(first) + i; port > 0xffff || !yield(Endpoint{p.Protocol, uint16(port)}) {
				return
			}
		}
	}
}

// onHosts reports whether its ports are those of its gateway host's own address.
func (p *Publication) onHosts() bool { return !p.Routed() && !p.Floats() }

// has reports whether a port of the gateway host is among its ports.
func (p *Publication) has(e Endpoint) bool {
	return e.Protocol == p.Protocol && e.Port >= p.On && int(e.Port) < int(p.On)+int(p.Count)
}

// flaw is what no request would have written; empty: nothing.
func (p *Publication) flaw() string {
	switch {
	case p.Protocol != ProtocolTCP && p.Protocol != ProtocolUDP:
		return fmt.Sprintf("protocol %q is neither tcp nor udp", p.Protocol)
	case p.Count < 1 || p.Count > MaxPublishedPorts:
		return fmt.Sprintf("it has %d ports, and may have 1 to %d", p.Count, MaxPublishedPorts)
	case p.First < 1 || p.On < 1 || int(p.First)+int(p.Count) > 1<<16 || int(p.On)+int(p.Count) > 1<<16:
		return "its ports are not all between 1 and 65535"
	}
	if flaw := p.floatingFlaw(); flaw != "" {
		return flaw
	}
	if p.Routed() {
		return p.routeFlaw()
	}
	for _, e := range tunnelPorts {
		if p.has(e) {
			return fmt.Sprintf("%s of each host is for the tunnels between hosts", e)
		}
	}
	return ""
}

// Publication is the publication of a tenant under a name, or nil.
func (s *State) Publication(tenant, name string) *Item[Publication] {
	if own := s.publications.items[PublicationKey(tenant, name)]; own != nil {
		return own
	}
	for p := range s.PublicationsOf(tenant) {
		if p.Key.Name == name {
			return p
		}
	}
	return nil
}

// Publications walks all publications, sorted by tenant and name.
func (s *State) Publications() iter.Seq[*Item[Publication]] {
	all := slices.Collect(maps.Values(s.publications.items))
	for _, list := range s.publications.byPort {
		all = append(all, list...)
	}
	return slices.Values(sortedPublications(all))
}

// PublicationsOf walks those of a tenant, sorted by name.
func (s *State) PublicationsOf(tenant string) iter.Seq[*Item[Publication]] {
	return publicationsIn(s.publications.of.sets[tenant])
}

// PublicationsTo walks those that lead to a port of that name, which need not be there, sorted by name.
func (s *State) PublicationsTo(n NetworkName, port string) iter.Seq[*Item[Publication]] {
	return publicationsIn(s.publications.to.sets[scoped[string]{n, port}])
}

// PublicationsAt walks those that ask for a port of hosts, or have it for a route, sorted by tenant and name.
func (s *State) PublicationsAt(e Endpoint) iter.Seq[*Item[Publication]] {
	return publicationsIn(s.publications.at.sets[e])
}

func publicationsIn(set map[*Item[Publication]]struct{}) iter.Seq[*Item[Publication]] {
	return slices.Values(sortedPublications(slices.Collect(maps.Keys(set))))
}

func sortedPublications(list []*Item[Publication]) []*Item[Publication] {
	slices.SortFunc(list, func(p, q *Item[Publication]) int {
		return cmp.Or(compareKeys(p.Key, q.Key), compareKeys(p.Value.From, q.Value.From), cmp.Compare(p.Value.Mark, q.Value.Mark))
	})
	return list
}

// Publishes reports whether a tenant has any publication.
func (s *State) Publishes(tenant string) bool { return len(s.publications.of.sets[tenant]) > 0 }

// PublicationMark is what the connections of a publication are known by, in its tenant's zone. That of a tenant's own is its create
// revision, which no other object has.
func PublicationMark(p *Item[Publication]) uint32 {
	if p.Value.ofPort() {
		return p.Value.Mark
	}
	return uint32(p.Created)
}

// PublicationBefore reports whether a publication has what two of one tenant ask for: the tenant's own before those of ports, then
// the older one.
func PublicationBefore(p, q *Item[Publication]) bool {
	if p.Value.ofPort() != q.Value.ofPort() {
		return q.Value.ofPort()
	}
	return cmp.Or(compareItems(p, q), compareKeys(p.Value.From, q.Value.From), cmp.Compare(p.Value.Mark, q.Value.Mark)) < 0
}

// Unpublished says why no host can let a publication in, whichever it is; empty: nothing is wrong with it.
func (s *State) Unpublished(p *Item[Publication]) string {
	t, mark := s.Tenant(p.Key.Tenant), PublicationMark(p)
	switch flaw := p.Value.flaw(); {
	case flaw != "":
		return flaw + ": " + p.Value.remedy()
	case t == nil || !p.Value.of(t):
		return fmt.Sprintf("an earlier tenant %s published it: unpublish it", p.Key.Tenant)
	case mark == uint32(t.Created) || mark == 0:
		return "it was written together with its tenant: " + p.Value.remedy()
	case p.Value.ofPort():
		if why := s.withoutPort(p.Value.From); why != "" {
			return why
		}
	}
	if other := s.rival(t, p); other != nil {
		return fmt.Sprintf("%s of its tenant comes before it and has a port of its: unpublish one of them, or detach its port", other.Key.Name)
	}
	return ""
}

// rival is a publication of the same tenant that has a port, the mark, or the route of another one; nil: none.
func (s *State) rival(t *Item[Tenant], p *Item[Publication]) (found *Item[Publication]) {
	consider := func(set map[*Item[Publication]]struct{}, meets func(*Publication) bool) {
		for other := range set {
			if other.Key.Tenant == p.Key.Tenant && other.Value.of(t) && other.Value.flaw() == "" && PublicationBefore(other, p) && meets(other.Value) &&
				(found == nil || PublicationBefore(other, found)) {
				found = other
			}
		}
	}
	all := func(*Publication) bool { return true }
	consider(s.publications.marked.sets[tenantMark{p.Key.Tenant, PublicationMark(p)}], all)
	for e := range p.Value.HostPorts() {
		consider(s.publications.at.sets[e], all)
	}
	if p.Value.Routed() {
		consider(s.publications.by.sets[p.Value.Route.Host], p.Value.meets)
	}
	return found
}

// of reports whether it was this tenant that published it. A tenant with ports is not deleted.
func (p *Publication) of(t *Item[Tenant]) bool { return p.ofPort() || p.TenantCreated == t.Created }

// remedy is what mends what no request would have written.
func (p *Publication) remedy() string {
	if p.ofPort() {
		return "detach its port, and attach it anew"
	}
	return "unpublish it, and publish it anew"
}

// meets reports whether two publications of a tenant ask for one port, or by one address of the web.
func (p *Publication) meets(other *Publication) bool {
	if p.Routed() && other.Routed() && p.Route.address() == other.Route.address() {
		return true
	}
	return p.Protocol == other.Protocol && int(p.On) < int(other.On)+int(other.Count) && int(other.On) < int(p.On)+int(p.Count)
}

// Hindrance is why a publication is not let in by its gateway host.
type Hindrance struct {
	Text  string
	Third string // another tenant that Text names; empty: it names none
	plain string // the same without it
}

// Words are Text for somebody who is not told of other tenants than knows reports; empty where there is no hindrance.
func (h *Hindrance) Words(knows func(tenant string) bool) string {
	switch {
	case h == nil:
		return ""
	case h.Third == "" || knows(h.Third):
		return h.Text
	}
	return h.plain
}

// PublishedAt is the host whose address a publication is on, and why that host does not let it in; nil: it does. The
// host is empty where the tenant has none.
func (s *State) PublishedAt(p *Item[Publication]) (host string, why *Hindrance) {
	if g := s.Gateway(p.Key.Tenant); g != nil {
		host = g.Value.Active
	}
	if text := s.Unpublished(p); text != "" {
		return host, &Hindrance{Text: text}
	}
	for _, taken := range []func(*Item[Publication]) *Hindrance{s.routeTaken, s.floatingTaken} {
		if why := taken(p); why != nil {
			return host, why
		}
	}
	if host == "" {
		return "", &Hindrance{Text: fmt.Sprintf("tenant %s has no gateway host yet: see sluice gateway list", p.Key.Tenant)}
	}
	if p.Value.Routed() {
		return host, nil // its port is none of the host's
	}
	if p.Value.Floats() {
		return host, s.floatsNowhere(p.Value.Address, host) // where no program of the host listens, and nobody else is
	}
	if e, other := s.publishedBefore(p, host); other != nil {
		return host, &Hindrance{Third: other.Key.Tenant,
			Text:  fmt.Sprintf("%s of host %s is published by %s/%s longer: publish on another port, or move one of the two gateways", e, host, other.Key.Tenant, other.Key.Name),
			plain: fmt.Sprintf("%s of host %s is published by another tenant longer: publish on another port", e, host)}
	}
	if e, listens := s.listens(p.Value, host); listens {
		return host, &Hindrance{Text: fmt.Sprintf("host %s itself listens on %s: publish on another port, or stop what listens there", host, e)}
	}
	return host, nil
}

// publishedBefore is an older publication of another tenant on a host that has a port of a publication.
func (s *State) publishedBefore(p *Item[Publication], host string) (Endpoint, *Item[Publication]) {
	for e := range p.Value.HostPorts() {
		for other := range s.PublicationsAt(e) {
			g := s.Gateway(other.Key.Tenant)
			if other.Key.Tenant != p.Key.Tenant && other.Value.onHosts() && g != nil && g.Value.Active == host && other.Older(p) && s.Unpublished(other) == "" {
				return e, other
			}
		}
	}
	return Endpoint{}, nil
}

// listens is a port of a publication that a program of a host has.
func (s *State) listens(p *Publication, host string) (Endpoint, bool) {
	if h := s.Host(host); h != nil {
		if at := slices.IndexFunc(h.Value.Listens, p.has); at >= 0 {
			return h.Value.Listens[at], true
		}
	}
	return Endpoint{}, false
}

// PublishedPort is the port that a publication leads to, with the address that is reached there; nil: why there is none.
func (s *State) PublishedPort(p *Item[Publication]) (port *Item[Port], address netip.Addr, why string) {
	n := NetworkName{p.Key.Tenant, p.Value.Network}
	if port = s.publishedPort(n, p.Value); port == nil || s.Network(n) == nil { // an edit by hand may have left ports without a network
		return nil, address, fmt.Sprintf("port %s/%s is not there: nothing is let in until it is attached", n, p.Value.Port)
	}
	if s.ContestedPort(port) != nil {
		return nil, address, fmt.Sprintf("port %s/%s is not programmed: an older one has what is its", n, p.Value.Port)
	}
	for _, a := range port.Value.Addresses {
		if a.Addr().Is4() {
			return port, a.Addr(), ""
		}
	}
	return nil, address, fmt.Sprintf("port %s/%s has no IPv4 address, and gateways are IPv4: give its network an IPv4 subnet", n, p.Value.Port)
}

// publishedPort is the port that a publication leads to: whoever has the name, or the one whose own it is.
func (s *State) publishedPort(n NetworkName, p *Publication) *Item[Port] {
	if p.ofPort() {
		return s.Port(p.From)
	}
	return s.portByName(n, p.Port)
}

// portByName is a network's port of a name, or nil: the oldest, where a hand edit made several.
func (s *State) portByName(n NetworkName, name string) (found *Item[Port]) {
	for _, host := range s.HostsOf(n) {
		for _, p := range s.PortsAt(host, n) {
			if p.Key.Name == name && (found == nil || p.Older(found)) {
				found = p
			}
		}
	}
	return found
}
