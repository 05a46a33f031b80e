package web

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"sluice/controller/client"
	"sluice/flows"
)

// hostPage is one host.
type hostPage struct {
	Host   client.Host
	Status *client.HostStatus // nil: it is not told
	Tables []tableCount
	Ports  []client.Port
	More   bool // ports than are shown
	Links  []client.Link
	Away   string // why its links are not known
	Drain  client.HostDrain
	// Happened is what happened last there, the latest first.
	Happened []client.Happened
}

// tableOf is a table of a host's switch.
type tableOf struct{ Host, Table string }

// tableCount is how many flows a table of a switch has.
type tableCount struct {
	ID    uint8
	Name  string
	Flows uint64
}

func (s *site) host(r *http.Request) (any, error) {
	ctx, name := r.Context(), r.PathValue("host")
	h, err := s.api.Host(ctx, name)
	if err != nil {
		return nil, err
	}
	ports, err := s.api.SomePorts(ctx, client.PortFilter{Host: name}, client.PageQuery{Limit: rowsShown})
	if err != nil {
		return nil, err
	}
	page := hostPage{Host: h, Tables: s.tableCounts(name), Ports: ports.List, More: ports.Next != ""}
	if page.Links, err = s.api.Links(ctx, name); err != nil {
		page.Away = err.Error()
	}
	if len(page.Links) > rowsShown { // most are not shown
		slices.SortStableFunc(page.Links, func(a, b client.Link) int { return cmp.Compare(b.Bytes, a.Bytes) })
	}
	if page.Happened, err = s.happened(ctx, client.EventFilter{Host: name}); err != nil {
		return nil, err
	}
	if page.Drain, err = s.api.Drain(ctx, name); err != nil {
		return nil, err
	}
	status, err := s.api.Status(ctx)
	for i := range status.Hosts {
		if status.Hosts[i].Name == name {
			page.Status = &status.Hosts[i]
		}
	}
	return page, err
}

// tableCounts are the tables of a host's switch, in the order in which a frame meets them, with how many flows of
// this controller's each holds.
func (s *site) tableCounts(host string) (list []tableCount) {
	kept := s.kept.take(time.Now(), func() map[tableOf]uint64 {
		counts := map[tableOf]uint64{}
		s.eachMetric("sluice_flows", func(l map[string]string, value float64) {
			counts[tableOf{l["host"], l["table"]}] = uint64(value)
		})
		return counts
	})
	for _, t := range flows.Tables() {
		list = append(list, tableCount{t.ID, t.Name, kept.Counts[tableOf{host, t.Name}]})
	}
	return list
}

// flowsPage are flows of one host.
type flowsPage struct {
	Host        string
	Filter      client.FlowFilter
	Tables      []flows.Table
	Reasons     []flows.Reason
	Flows       []client.Flow
	Total       int // that the filter chooses
	First, Last int // of those shown; the first one is 1
	Before      string
	After       string // queries of the parts before and after; empty: there are none
	Problems    []string
	Refused     string // why there is no list
}

// flows answers what cannot be chosen on the page itself, above the form that asked for it.
func (s *site) flows(r *http.Request) (any, error) {
	q := r.URL.Query()
	page := flowsPage{Host: r.PathValue("host"), Filter: filterOf(q), Tables: flows.Tables(), Reasons: flows.Reasons()}
	if _, err := s.api.Host(r.Context(), page.Host); err != nil {
		return nil, err
	}
	list, problems, err := s.api.Flows(r.Context(), page.Host, page.Filter)
	if err != nil {
		page.Refused = err.Error()
		return page, nil
	}
	page.Problems, page.Total = problems, len(list)
	page.show(q, list)
	return page, nil
}

func filterOf(q url.Values) client.FlowFilter {
	return client.FlowFilter{
		Tenant: q.Get("tenant"), Network: q.Get("network"), Port: q.Get("port"), Table: q.Get("table"),
		Owner: q.Get("owner"), Reason: q.Get("reason"), Packet: q.Get("packet"), View: q.Get("view"),
	}
}

// show takes the part of the list that the query asks for: from names its first flow, the first of all being 1.
func (p *flowsPage) show(q url.Values, list []client.Flow) {
	from, err := strconv.Atoi(q.Get("from"))
	if err != nil || from < 1 || from > len(list) {
		from = 1
	}
	p.Flows = list[from-1 : min(from-1+rowsShown, len(list))]
	if len(p.Flows) == 0 {
		return
	}
	p.First, p.Last = from, from-1+len(p.Flows)
	part := func(from int) string {
		q.Set("from", fmt.Sprint(from))
		return "?" + q.Encode()
	}
	if p.First > 1 {
		p.Before = part(max(1, p.First-rowsShown))
	}
	if p.Last < len(list) {
		p.After = part(p.Last + 1)
	}
}
