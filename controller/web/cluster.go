package web

import (
	"cmp"
	"net/http"
	"slices"

	"sluice/controller/access"
	"sluice/controller/client"
	"sluice/store"
)

// rowsShown bounds the rows of a table on a page.
const rowsShown = 100

// clusterPage is the cluster at a glance.
type clusterPage struct {
	Status  client.Status
	Picture picture
	Hosts   []client.HostStatus // the first ones, those with trouble before others
	More    int                 // hosts that are not shown
	Proved  int                 // hosts whose flows are proved to keep tenants apart
	// Happened is what happened last, the latest first.
	Happened []client.Happened
}

// cluster is the first page. A tenant's own caller sees its tenant instead.
func (s *site) cluster(r *http.Request) (any, error) {
	if caller := access.From(r.Context()); !caller.Sees("") {
		return nil, elsewhere("/tenants/" + caller.Tenant)
	}
	status, err := s.api.Status(r.Context())
	if err != nil {
		return nil, err
	}
	page := clusterPage{Status: status, Picture: draw(status.Hosts, s.pictured(r, status.Hosts))}
	hosts := slices.Clone(status.Hosts)
	slices.SortStableFunc(hosts, func(a, b client.HostStatus) int { return cmp.Compare(trouble(b), trouble(a)) })
	page.Hosts = hosts[:min(len(hosts), rowsShown)]
	page.More = len(hosts) - len(page.Hosts)
	for _, h := range hosts {
		if h.Proof != nil && h.Proof.Findings == 0 && !h.Proof.At.IsZero() {
			page.Proved++
		}
	}
	page.Happened, err = s.happened(r.Context(), client.EventFilter{})
	return page, err
}

// pictured is the traffic that the picture shows.
func (s *site) pictured(r *http.Request, hosts []client.HostStatus) measured[link] {
	if len(hosts) > picturedHosts {
		return measured[link]{}
	}
	return s.linkTraffic(r.Context(), hosts)
}

// trouble is more for a host that an operator wants to see first.
func trouble(h client.HostStatus) int {
	switch h.State {
	case store.HostRealized:
		return min(len(h.Problems), 1)
	case store.HostDown, store.HostUnreachable:
		return 3
	}
	return 2
}
