package store

import (
	"fmt"
	"hash/fnv"
	"net/netip"
	"regexp"
	"strings"
)

// Route is the address of the web by which a publication is reached: the entry of any host carries requests for it over
// the tenant's gateway host to the container. Its port of the gateway host is known to entries alone: no uplink leads to it.
type Route struct {
	Host string `json:"host"` // a DNS name in lower case, such as alice.example
	Path string `json:"path"` // begins and ends with a slash; "/" is all of the name
	// Strip has the container see paths without Path.
	Strip bool `json:"strip,omitempty"`
	// Shared says that other tenants may have paths of the name, though browsers keep nothing of one path from another.
	Shared bool `json:"shared,omitempty"`
}

// The ports that routes have on the tenant's transit address. A tenant's other publications may have them too, but for those that
// a route of its own has.
const (
	firstRoutePort = 64512
	lastRoutePort  = 65535
)

// Bounds of a route.
const (
	maxHostName  = 253
	maxRoutePath = 200
)

var (
	hostName  = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$`)
	routePath = regexp.MustCompile(`^/([A-Za-z0-9._~-]+/)*$`)
)

// address is the route for people: alice.example/.
func (r Route) address() string { return r.Host + r.Path }

// String is the route for people, such as alice.example/.
func (r Route) String() string { return r.address() }

// Routed reports whether entries lead to the publication, and no port of a host.
func (p *Publication) Routed() bool { return p.Route != Route{} }

// routeFlaw is what no request would have written of a route; empty: nothing.
func (p *Publication) routeFlaw() string {
	if p.Protocol != ProtocolTCP || p.Count != 1 || p.KeepSource {
		return "a route leads to one port of TCP, whose container sees the gateway host"
	}
	return p.Route.flaw()
}

func (r Route) flaw() string {
	_, notName := netip.ParseAddr(r.Host)
	switch {
	case len(r.Host) > maxHostName || !hostName.MatchString(r.Host) || notName == nil:
		return fmt.Sprintf("host name %q is no DNS name in lower-case letters, digits and hyphens, such as alice.example", r.Host)
	case len(r.Path) > maxRoutePath || !routePath.MatchString(r.Path) || strings.Contains(r.Path, "/./") || strings.Contains(r.Path, "/../"):
		return fmt.Sprintf("path %q does not begin and end with a slash, as /alice/ does, or has other characters than letters, digits and - . _ ~", r.Path)
	case r.Path == "/" && r.Strip:
		return "all of the name has no path that could be left out"
	case r.Path == "/" && r.Shared:
		return "who shares a name with other tenants has a path of it, such as /alice/"
	}
	return ""
}

// name is what a publication with the route is called: http-alice-example.
func (r Route) name() string {
	name := strings.Trim(strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			return c
		}
		return '-'
	}, strings.ToLower("http-"+r.address())), "-")
	const longest = 63
	if len(name) <= longest {
		return name
	}
	h := fnv.New32a()
	h.Write([]byte(r.address()))
	return fmt.Sprintf("%s-%08x", name[:longest-9], h.Sum32())
}

// keepsApart reports whether two tenants may have these routes side by side.
func (r Route) keepsApart(other Route) bool {
	return r.Shared && other.Shared && !strings.HasPrefix(r.Path, other.Path) && !strings.HasPrefix(other.Path, r.Path)
}

// routeTaken is why a route is not believed: another tenant has the name, or a path around its, for longer.
func (s *State) routeTaken(p *Item[Publication]) *Hindrance {
	if !p.Value.Routed() {
		return nil
	}
	for other := range publicationsIn(s.publications.by.sets[p.Value.Route.Host]) {
		if other.Key.Tenant == p.Key.Tenant || !other.Older(p) || s.Unpublished(other) != "" || p.Value.Route.keepsApart(other.Value.Route) {
			continue
		}
		does := "take another name, or agree that both share it, each with a path of its own (--shared-origin)"
		return &Hindrance{Third: other.Key.Tenant,
			Text:  fmt.Sprintf("%s is %s/%s's for longer: %s", other.Value.Route, other.Key.Tenant, other.Key.Name, does),
			plain: fmt.Sprintf("another tenant has %s for longer: %s", p.Value.Route.Host, does)}
	}
	return nil
}

// drawRoutePort is a port for a new route: the lowest that no publication of the tenant has; 0: there is none.
func (s *State) drawRoutePort(tenant string) uint16 {
	for port := firstRoutePort; port <= lastRoutePort; port++ {
		e := Endpoint{ProtocolTCP, uint16(port)}
		taken := false
		for p := range s.PublicationsOf(tenant) {
			taken = taken || p.Value.has(e)
		}
		if !taken {
			return uint16(port)
		}
	}
	return 0
}

// NewRoute is a route as people write it: the path may lack its first and last slash, and the name may have one dot too many.
func NewRoute(host, path string) Route {
	if path = "/" + strings.TrimPrefix(path, "/"); !strings.HasSuffix(path, "/") {
		path += "/"
	}
	return Route{Host: strings.TrimSuffix(strings.ToLower(host), "."), Path: path}
}

// tenantsOfName are those whose routes ask for a host name.
func (s *State) tenantsOfName(host string) (tenants []string) {
	for p := range s.publications.by.sets[host] {
		tenants = append(tenants, p.Key.Tenant)
	}
	return tenants
}

// Stands reports whether a publication has a route that leads to it.
func (s *State) Stands(p *Item[Publication]) bool {
	return p.Value.Routed() && s.Unpublished(p) == "" && s.routeTaken(p) == nil
}
