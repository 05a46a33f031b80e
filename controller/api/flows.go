package api

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/store"
)

// Views of a host's flows.
const (
	ViewInstalled = "installed" // read from the switch now
	ViewDesired   = "desired"   // compiled from the state
	ViewDiff      = "diff"      // what programming would change; empty when all is right
)

// Flow is one flow of one host.
type Flow struct {
	Host      string `json:"host"`
	Table     uint8  `json:"table"`
	TableName string `json:"tableName"`
	Priority  uint16 `json:"priority"`
	Cookie    string `json:"cookie"` // 0x and 16 hexadecimal digits
	Owner     string `json:"owner"`  // the object that the flow serves
	Packets   uint64 `json:"packets"`
	Bytes     uint64 `json:"bytes"`
	Text      string `json:"text"`                                                       // in ovs-ofctl's syntax
	Note      string `json:"note,omitempty"`                                             // what it counts, or why it refuses
	Change    string `json:"change,omitempty" enum:"add,modify,delete" required:"false"` // in the diff: what is missing from the switch, wrong, or too much

	tenant uint32 // the number in its cookie; 0: none
}

func (s *server) flows(a huma.API) {
	op := operation("list-flows", http.MethodGet, "/v1/hosts/{host}/flows", "flows", "List the flows of a host's switch", access.Look)
	op.Description = "Every flow names its owner. The view installed was read from the switch for this request; " +
		"desired is compiled; diff is what programming would change now, empty when the switch is right. " +
		"What compiles to less than it asks for is told in headers " + problemHeader + ", one for each object."
	huma.Register(a, op, s.listFlows)
}

type flowQuery struct {
	Host   string `path:"host" example:"h1"`
	Tenant string `query:"tenant" doc:"only flows that serve this tenant"`
	Port   string `query:"port" doc:"only this port's flows" example:"alice/default/a1"`
	Table  string `query:"table" doc:"only this table: its number or name" example:"classify"`
	View   string `query:"view" enum:"installed,desired,diff" default:"installed"`
}

// problemHeader tells the problems of objects that compile to less than they ask for.
const problemHeader = "Sluice-Problem"

// flowList is an answer of flows.
type flowList struct {
	Problems []string `header:"Sluice-Problem" doc:"an object and what is wrong with it, where flows were compiled"`
	Body     []Flow
}

func (s *server) listFlows(ctx context.Context, in *flowQuery) (*flowList, error) {
	keep, err := s.chooser(in)
	if err != nil {
		return nil, err
	}
	if err := s.dumps.Acquire(ctx, 1); err != nil {
		return nil, s.refuse(fmt.Errorf("flows of host %s: wait for others that are read: %w", in.Host, err))
	}
	defer s.dumps.Release(1)
	list, problems, err := s.view(ctx, in.Host, in.View)
	if err != nil {
		return nil, s.refuse(err)
	}
	described := s.describe(in.Host, list)
	out := &flowList{Body: slices.DeleteFunc(described, func(f Flow) bool { return !keep(f) })}
	for _, p := range problems.Told() {
		out.Problems = append(out.Problems, p.Object+": "+p.Text)
	}
	return out, nil
}

// shown is a flow as a view found it.
type shown struct {
	openflow.FlowStats
	change string
}

// view reads or compiles a host's flows.
func (s *server) view(ctx context.Context, host, view string) ([]shown, store.Problems, error) {
	if view == ViewDesired {
		desired, problems, err := s.Controller.Desired(host)
		return unchanged(desired), problems, err
	}
	installed, err := s.Controller.Installed(ctx, host)
	if err != nil {
		return nil, nil, err
	}
	list := make([]shown, len(installed))
	for i, f := range installed {
		list[i] = shown{FlowStats: f}
	}
	if view == ViewInstalled {
		return list, nil, nil
	}
	desired, problems, err := s.Controller.Desired(host)
	if err != nil {
		return nil, nil, err
	}
	changes, err := difference(list, desired)
	return changes, problems, err
}

func unchanged(list []openflow.Flow) []shown { return changed(nil, list, "") }

func changed(to []shown, list []openflow.Flow, change string) []shown {
	for _, f := range list {
		to = append(to, shown{openflow.FlowStats{Flow: f}, change})
	}
	return to
}

// difference is what would make installed equal to desired.
func difference(installed []shown, desired []openflow.Flow) ([]shown, error) {
	have := make([]openflow.Flow, len(installed))
	for i, f := range installed {
		have[i] = f.Flow
	}
	mods, err := flows.Compare(have, desired)
	if err != nil {
		return nil, err
	}
	list := changed(nil, slices.Concat(mods.Add, mods.Replace), "add")
	list = changed(list, mods.Modify, "modify")
	return changed(list, mods.Delete, "delete"), nil
}

// chooser is the filter that a request asks for. Names of nothing are refused.
func (s *server) chooser(in *flowQuery) (func(Flow) bool, error) {
	var keep []func(Flow) bool
	var err error
	s.Controller.View(func(state *store.State) { keep, err = choosers(state, in) })
	if err != nil {
		return nil, err
	}
	return func(f Flow) bool {
		return !slices.ContainsFunc(keep, func(k func(Flow) bool) bool { return !k(f) })
	}, nil
}

func choosers(state *store.State, in *flowQuery) (keep []func(Flow) bool, err error) {
	if state.Host(in.Host) == nil {
		return nil, absent("host", in.Host, "host list")
	}
	if in.Tenant != "" {
		t := state.Tenant(in.Tenant)
		if t == nil {
			return nil, absent("tenant", in.Tenant, "tenant list")
		}
		keep = append(keep, func(f Flow) bool { return f.tenant == t.Value.Number })
	}
	if in.Port != "" {
		if err := checkPort(state, in.Port); err != nil {
			return nil, err
		}
		keep = append(keep, func(f Flow) bool { return f.Owner == "port "+in.Port })
	}
	if in.Table != "" {
		id, err := TableID(in.Table)
		if err != nil {
			return nil, huma.Error404NotFound(err.Error())
		}
		keep = append(keep, func(f Flow) bool { return f.Table == id })
	}
	return keep, nil
}

// checkPort refuses what is not the name TENANT/NETWORK/NAME of a port.
func checkPort(state *store.State, text string) error {
	parts := strings.Split(text, "/")
	if len(parts) != 3 {
		return malformed(fmt.Sprintf("port %q: write it as TENANT/NETWORK/NAME", text))
	}
	if portNamed(state, store.NetworkName{Tenant: parts[0], Network: parts[1]}, parts[2]) == nil {
		return absent("port", text, "port list")
	}
	return nil
}

// TableID reads a table's number or name.
func TableID(text string) (uint8, error) {
	if n, err := strconv.ParseUint(text, 10, 8); err == nil {
		return uint8(n), nil
	}
	var names []string
	for _, t := range flows.Tables() {
		if t.Name == text {
			return t.ID, nil
		}
		names = append(names, t.Name)
	}
	return 0, fmt.Errorf("table %s does not exist: it is a number or one of %s", text, strings.Join(names, ", "))
}

// describe names every flow's table and owner, in the order in which a frame meets them.
func (s *server) describe(host string, list []shown) []Flow {
	slices.SortStableFunc(list, func(a, b shown) int {
		return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.Cookie, b.Cookie))
	})
	out := make([]Flow, len(list))
	s.Controller.Each(len(list), func(state *store.State, i int) {
		f := &list[i]
		line := flows.Annotate(state, &f.Flow)
		out[i] = Flow{
			Host: host, tenant: flows.Slice(f.Cookie).Tenant(), Table: f.Table, TableName: line.Table, Priority: f.Priority,
			Cookie: fmt.Sprintf("0x%016x", f.Cookie), Owner: line.Owner, Note: line.Note,
			Packets: f.Packets, Bytes: f.Bytes, Text: line.Text, Change: f.change,
		}
	})
	return out
}

// FlowFilter chooses flows; an empty field chooses all. Port is TENANT/NETWORK/NAME,
// Table a number or a name, View one of the View constants.
type FlowFilter struct{ Tenant, Port, Table, View string }

// Flows reads flows of one host. Where they are compiled, problems are what compiles to less than
// it asks for, an object and what is wrong with it each.
func (c *Client) Flows(ctx context.Context, host string, f FlowFilter) (list []Flow, problems []string, err error) {
	q := query("tenant", f.Tenant, "port", f.Port, "table", f.Table, "view", f.View)
	list, header, err := exchange[[]Flow](ctx, c, http.MethodGet, with(path("hosts", host)+"/flows", q), nil)
	return list, header.Values(problemHeader), err
}
