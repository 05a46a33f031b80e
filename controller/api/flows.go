package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
	"sluice/controller/client"
	"sluice/controller/host"
	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/flows/explain"
	"sluice/store"
)

func (s *server) flows(a huma.API) {
	op := operation("list-flows", http.MethodGet, "/v1/hosts/{host}/flows", "flows", "List the flows of a host's switch", access.Look)
	op.Description = "Every flow names its owner. The view installed was read from the switch for this request. Of a switch without a session with this controller another one is asked, which has a session or kept what it read last; " +
		"else it is what this one read last. A problem says so, the header Age for how many seconds. The view " +
		"desired is compiled; diff is what programming would change now, empty when the switch is right. " +
		"With at, flows are those that were desired at a revision, and with since, what changed of them up to then: etcd's history says so, and 410 how far back it goes. " +
		"What compiles to less than it asks for is told in headers " + problemHeader + ", one for each object."
	op.Errors = append(op.Errors, http.StatusGone)
	huma.Register(a, op, s.listFlows)
}

type flowQuery struct {
	Host string `path:"host" example:"h1"`
	client.FlowFilter
}

// problemHeader tells the problems of objects that compile to less than they ask for.
const problemHeader = "Sluice-Problem"

// flowList is an answer of flows.
type flowList struct {
	Problems   []string `header:"Sluice-Problem" doc:"an object and what is wrong with it, where flows were compiled or the switch is away"`
	Age        string   `header:"Age" doc:"seconds since installed flows of a switch that is away were read; missing: they were read just now"`
	Controller string   `header:"Sluice-Controller" doc:"the controller that read them, where it is another one"`
	Body       []client.Flow
}

func (s *server) listFlows(ctx context.Context, in *flowQuery) (*flowList, error) {
	if in.At > 0 || in.Since > 0 {
		return s.listPast(ctx, in)
	}
	keep, err := s.chooser(in)
	if err != nil {
		return nil, err
	}
	turns := s.dumps
	if access.From(ctx).Controller {
		turns = s.asked
	}
	if err := turns.Acquire(ctx, 1); err != nil {
		return nil, s.refuse(fmt.Errorf("flows of host %s: wait for others that are read: %w", in.Host, err))
	}
	defer turns.Release(1)
	list, problems, err := s.view(ctx, in.Host, in.View)
	if in.View == client.ViewInstalled && isAway(err) {
		return s.lastRead(ctx, in, keep, err)
	}
	if err != nil {
		return nil, s.refuse(err)
	}
	out := &flowList{Body: s.describe(in.Host, list, keep)}
	for _, p := range problems.Told() {
		out.Problems = append(out.Problems, p.Object+": "+p.Text)
	}
	return out, nil
}

// shown is a flow as a view found it.
type shown struct {
	openflow.FlowStats
	installed bool   // read from the switch, with its age
	change    string // see Flow
}

// view reads or compiles a host's flows.
func (s *server) view(ctx context.Context, host, view string) ([]shown, store.Problems, error) {
	if view == client.ViewDesired {
		desired, problems, err := s.Controller.Desired(host)
		return unchanged(desired), problems, err
	}
	installed, err := s.Controller.Installed(ctx, host)
	if err != nil {
		return nil, nil, err
	}
	list := held(installed)
	if view == client.ViewInstalled {
		return list, nil, nil
	}
	desired, problems, err := s.Controller.Desired(host)
	if err != nil {
		return nil, nil, err
	}
	changes, err := difference(list, desired)
	return changes, problems, err
}

// held are flows that a switch told.
func held(flows []openflow.FlowStats) []shown {
	list := make([]shown, len(flows))
	for i, f := range flows {
		list[i] = shown{FlowStats: f, installed: true}
	}
	return list
}

// isAway reports whether a switch could not be read since it has no session with this controller.
func isAway(err error) bool {
	var away host.ErrNotConnected
	return errors.As(err, &away)
}

func unchanged(list []openflow.Flow) []shown { return changed(nil, list, "") }

func changed(to []shown, list []openflow.Flow, change string) []shown {
	for _, f := range list {
		to = append(to, shown{FlowStats: openflow.FlowStats{Flow: f}, change: change})
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

// inOrder sorts flows as a frame meets them.
func inOrder(list []shown) []shown {
	slices.SortStableFunc(list, func(a, b shown) int {
		return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.Cookie, b.Cookie))
	})
	return list
}

// described is a flow as it is shown, and what else it may be chosen by.
type described struct {
	client.Flow
	tenant uint32         // the number in its cookie; 0: none
	match  openflow.Match // of the flow
}

// describe names the table and owner of every flow that is to be kept, in the order in which a frame meets them.
func (s *server) describe(host string, list []shown, keep func(described) bool) []client.Flow {
	inOrder(list)
	out := make([]client.Flow, 0, len(list))
	numbers, _, _ := s.Controller.Ports(host) // of a host that is gone none are known
	d := describerOf(flows.Switch{Host: host, OFPort: numbers})
	s.Controller.Each(len(list), func(state *store.State, i int) {
		if f := d.flow(state, &list[i]); keep(f) {
			out = append(out, f.Flow)
		}
	})
	return out
}

// describer tells the flows of one switch.
type describer struct {
	host string
	sw   *explain.Switch
}

func describerOf(sw flows.Switch) describer { return describer{sw.Host, explain.On(sw)} }

// flow is a flow as it is shown, with names as the state has them.
func (d describer) flow(state *store.State, f *shown) described {
	line := flows.Annotate(state, &f.Flow)
	told := described{tenant: flows.Slice(f.Cookie).Tenant(), match: f.Match}
	told.Flow = client.Flow{
		Host: d.host, Table: f.Table, TableName: line.Table, Priority: f.Priority,
		Cookie: fmt.Sprintf("0x%016x", f.Cookie), Owner: line.Owner, Note: line.Note,
		Packets: f.Packets, Bytes: f.Bytes, Text: line.Text, Words: d.sw.Flow(state, &f.Flow).String(), Change: f.change,
	}
	if f.installed {
		told.Age = f.Age()
	}
	return told
}
