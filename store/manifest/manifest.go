package manifest

import (
	"fmt"
	"net/netip"
	"time"

	"sluice/store"
)

// Manifest is what is declared.
type Manifest struct {
	Tenants []DeclaredTenant `json:"tenants,omitempty"`
}

// DeclaredTenant is one tenant with the networks that are declared of it.
type DeclaredTenant struct {
	Name     string            `json:"name" doc:"a DNS label" example:"alice"`
	Gateway  string            `json:"gateway,omitempty" doc:"auto (the default), central, or a host"`
	Hosts    []string          `json:"hosts,omitempty" doc:"hosts allowed; none: all"`
	Limits   store.Limits      `json:"limits,omitzero" doc:"what it may take; 0: the default"`
	Labels   store.Labels      `json:"labels,omitempty" doc:"free"`
	Topology string            `json:"topology,omitempty" doc:"which way frames between its hosts go: direct (the default) or star, by its gateway host"`
	TTL      string            `json:"ttl,omitempty" doc:"time without ports after which it is removed with its networks; none: never" example:"2h"`
	Networks []DeclaredNetwork `json:"networks,omitempty" doc:"those that are not named are left alone; each tenant has one called default"`

	// Peerings are what it says of other tenants.
	Peerings     []DeclaredPeering     `json:"peerings,omitempty" doc:"other tenants that it is to reach, and that say the same; those that are not named are left alone"`
	Publications []DeclaredPublication `json:"publications,omitempty" doc:"ports that the outside reaches; those that are not named are left alone"`
}

// DeclaredNetwork is one network.
type DeclaredNetwork struct {
	Name         string   `json:"name" doc:"a DNS label" example:"default"`
	Segmentation string   `json:"segmentation,omitempty" doc:"tunnel (the default) or vlan"`
	Subnets      []string `json:"subnets" example:"[\"10.0.0.0/24\"]"`
	Gateways     []string `json:"gateways,omitempty" doc:"the router's address in each subnet; none: the first usable"`
	Exclude      []string `json:"exclude,omitempty" doc:"ranges of addresses that ports get only by asking for them" example:"[\"10.0.0.2-10.0.0.20\"]"`
	MTU          int      `json:"mtu,omitempty" doc:"bytes; 0: derived from the underlay"`
	Flood        string   `json:"flood,omitempty" doc:"auto (the default), on or off"`
}

// Error is what is wrong with one place of a manifest.
type Error struct {
	Path string // such as tenants[0].networks[1].subnets[0]; empty: all of it
	Err  error
}

func (e *Error) Error() string {
	if e.Path == "" {
		return e.Err.Error()
	}
	return e.Path + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

func wrong(path string, err error) *Error { return &Error{path, err} }

func invalid(path, format string, args ...any) *Error {
	return wrong(path, fmt.Errorf("%w: "+format, append([]any{store.ErrInvalid}, args...)...))
}

// tenantPath and networkPath are places of a manifest.
func tenantPath(i int) string     { return fmt.Sprintf("tenants[%d]", i) }
func networkPath(i, k int) string { return fmt.Sprintf("tenants[%d].networks[%d]", i, k) }

// check refuses names that are none, and what is declared twice.
func (m *Manifest) check() error {
	seen := map[string]bool{}
	once := func(path, what string) error {
		if seen[what] {
			return invalid(path+".name", "%s is declared twice: keep one of the two", what)
		}
		seen[what] = true
		return nil
	}
	for i, t := range m.Tenants {
		if err := store.ValidateName(t.Name); err != nil {
			return invalid(tenantPath(i)+".name", "%w", err)
		}
		if err := once(tenantPath(i), "tenant "+t.Name); err != nil {
			return err
		}
		for k, n := range t.Networks {
			if err := store.ValidateName(n.Name); err != nil {
				return invalid(networkPath(i, k)+".name", "%w", err)
			}
			if err := once(networkPath(i, k), "network "+t.Name+"/"+n.Name); err != nil {
				return err
			}
		}
		for k, p := range t.Peerings {
			if err := p.spec(t.Name).Validate(); err != nil {
				return wrong(peeringPath(i, k), err)
			}
			if err := once(peeringPath(i, k), "peering of "+t.Name+" with "+p.With); err != nil {
				return err
			}
		}
		for k := range t.Publications {
			spec, err := t.Publications[k].spec(t.Name, publicationPath(i, k))
			if err != nil {
				return err
			}
			if err := once(publicationPath(i, k), "publication "+spec.String()); err != nil {
				return err
			}
		}
	}
	return nil
}

// spec reads a network's texts.
func (n *DeclaredNetwork) spec(tenant, path string) (s store.NetworkSpec, err error) {
	s = store.NetworkSpec{Tenant: tenant, Name: n.Name, Segmentation: store.Segmentation(n.Segmentation), MTU: n.MTU, Flood: store.FloodMode(n.Flood)}
	for i, text := range n.Subnets {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return s, invalid(fmt.Sprintf("%s.subnets[%d]", path, i), "subnet %q: write it as ADDRESS/LENGTH, such as 10.0.0.0/24", text)
		}
		s.Subnets = append(s.Subnets, p)
	}
	for i, text := range n.Gateways {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return s, invalid(fmt.Sprintf("%s.gateways[%d]", path, i), "gateway %q is no address, such as 10.0.0.1", text)
		}
		s.Gateways = append(s.Gateways, a)
	}
	for i, text := range n.Exclude {
		r, err := store.ParseAddressRange(text)
		if err != nil {
			return s, wrong(fmt.Sprintf("%s.exclude[%d]", path, i), fmt.Errorf("%w: %w", store.ErrInvalid, err))
		}
		s.Exclude = append(s.Exclude, r)
	}
	return s, nil
}

// ttl reads a tenant's time to live.
func (t *DeclaredTenant) ttl(path string) (time.Duration, error) {
	if t.TTL == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(t.TTL)
	if err != nil {
		return 0, invalid(path+".ttl", "time to live %q: write it as 90m or 2h", t.TTL)
	}
	return d, nil
}
