package web

import (
	"net/http"
	"net/url"
	"sluice/controller/client"
	"strings"
)

// tenantsPage is a part of the tenants.
type tenantsPage struct {
	Tenants []tenantRow
	Next    string // with what the next part is asked for; empty: there is none
	First   bool   // it is the first part
}

// tenantRow is a tenant, and what it sends and gets now.
type tenantRow struct {
	client.Tenant
	Out, In float64 // bytes a second
	Known   bool    // whether they are
}

// tenants lists a part of them. name goes to the tenant of that name.
func (s *site) tenants(r *http.Request) (any, error) {
	q := r.URL.Query()
	if name := strings.TrimSpace(q.Get("name")); name != "" {
		return nil, elsewhere("/tenants/" + url.PathEscape(name))
	}
	part, err := s.api.SomeTenants(r.Context(), client.PageQuery{Limit: rowsShown, Continue: q.Get("continue")})
	if err != nil {
		return nil, err
	}
	page := tenantsPage{Next: part.Next, First: q.Get("continue") == ""}
	sums := byTenant(s.tenantTraffic())
	for _, t := range part.List {
		row := tenantRow{Tenant: t}
		for _, c := range sums[t.Name] {
			row.add(c)
		}
		page.Tenants = append(page.Tenants, row)
	}
	return page, nil
}

func (t *tenantRow) add(c counted) {
	t.Known = t.Known || c.Known
	if c.Direction == "out" {
		t.Out += c.Rate
	} else {
		t.In += c.Rate
	}
}

// counted is one of a tenant's counters.
type counted struct {
	series
	Bytes uint64
	Rate  float64 // bytes a second
	Known bool    // whether the rate is
}

// byTenant sorts counters by whose they are.
func byTenant(m measured[series]) map[string][]counted {
	sorted := map[string][]counted{}
	for key, bytes := range m.Counts {
		rate, known := m.Rates[key]
		sorted[key.Tenant] = append(sorted[key.Tenant], counted{key, bytes, rate, known})
	}
	return sorted
}

// tenantPage is one tenant.
type tenantPage struct {
	Tenant   client.Tenant
	Gateway  client.Gateway
	Networks []client.Network
	Ports    []client.Port
	More     bool // ports than are shown
	Peerings []client.Peering
	Traffic  []scopeRow
	Happened []client.Happened // last, the latest first
	Usage    usagePart
	Star     *star // nil: frames go straight
}

// scopeRow is what a tenant sent and got in one scope.
type scopeRow struct {
	Scope, Says string
	Out, In     counted
}

// scopes are those of tenants' counters, as pages say them.
var scopes = [...][2]string{
	{"internal", "inside the tenant"}, {"egress", "through the gateway"}, {"peering", "with peered tenants"}, {"published", "to published ports"},
}

func (s *site) tenant(r *http.Request) (_ any, err error) {
	ctx, name := r.Context(), r.PathValue("tenant")
	page := tenantPage{}
	if page.Tenant, err = s.api.Tenant(ctx, name); err != nil {
		return nil, err
	}
	if page.Gateway, err = s.api.Gateway(ctx, name); err != nil {
		return nil, err
	}
	if page.Networks, err = s.api.Networks(ctx, name); err != nil {
		return nil, err
	}
	if page.Peerings, err = s.api.Peerings(ctx, name); err != nil {
		return nil, err
	}
	if page.Happened, err = s.happened(ctx, client.EventFilter{Tenant: name}); err != nil {
		return nil, err
	}
	ports, err := s.api.SomePorts(ctx, client.PortFilter{Tenant: name}, client.PageQuery{Limit: rowsShown})
	page.Ports, page.More = ports.List, ports.Next != ""
	page.Usage, page.Star = s.usage(r, name), drawStar(page.Gateway, page.Networks)
	page.Traffic = scopeRows(byTenant(s.tenantTraffic())[name])
	return page, err
}

// scopeRows are a tenant's counters, a row for each scope that counted something, in a fixed order.
func scopeRows(list []counted) (rows []scopeRow) {
	for _, scope := range scopes {
		row, counts := scopeRow{Scope: scope[0], Says: scope[1]}, false
		for _, c := range list {
			switch {
			case c.Scope != row.Scope:
				continue
			case c.Direction == "out":
				row.Out = c
			default:
				row.In = c
			}
			counts = true
		}
		if counts {
			rows = append(rows, row)
		}
	}
	return rows
}
