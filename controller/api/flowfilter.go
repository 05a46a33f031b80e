package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/store"
)

// FlowFilter says which of a host's flows to show. What is empty chooses all.
type FlowFilter struct {
	Tenant  string `query:"tenant" doc:"only flows that serve this tenant"`
	Network string `query:"network" doc:"only this network's flows, and those of its ports" example:"alice/default"`
	Port    string `query:"port" doc:"only this port's flows" example:"alice/default/a1"`
	Table   string `query:"table" doc:"only this table: its number or name" example:"classify"`
	Owner   string `query:"owner" doc:"only flows of this owner, or of owners of this kind" example:"peer h2"`
	Reason  string `query:"reason" doc:"only flows that refuse for this reason, or count what was" example:"spoofed"`
	Packet  string `query:"packet" doc:"only flows that may take such a packet: a match as ovs-ofctl writes it; what it does not say may be anything" example:"ip,nw_dst=10.0.0.7"`
	View    string `query:"view" enum:"installed,desired,diff" default:"installed"`
	// At and Since ask for the past, of which nothing installed is known.
	At    store.Revision `query:"at" minimum:"0" doc:"those that were desired at this revision, as far as etcd's history goes; 0: now" example:"4711"`
	Since store.Revision `query:"since" minimum:"0" doc:"what changed of those that were desired, from this revision to the one in at; 0: all of them" example:"4700"`
}

// chooser is the filter that a request asks for. Names of nothing are refused.
func (s *server) chooser(in *flowQuery) (func(Flow) bool, error) {
	var keep []func(Flow) bool
	var err error
	s.Controller.View(func(state *store.State) {
		if state.Host(in.Host) == nil {
			err = absent("host", in.Host, "host list")
		} else {
			keep, err = in.choosers(state)
		}
	})
	if err != nil {
		return nil, err
	}
	return func(f Flow) bool {
		return !slices.ContainsFunc(keep, func(k func(Flow) bool) bool { return !k(f) })
	}, nil
}

// choosers are what a flow must pass to be chosen.
func (in *FlowFilter) choosers(state *store.State) (keep []func(Flow) bool, err error) {
	for _, c := range []struct {
		asked  string
		choose func(*store.State) (func(Flow) bool, error)
	}{
		{in.Tenant, in.byTenant}, {in.Network, in.byNetwork}, {in.Port, in.byPort}, {in.Table, in.byTable},
		{in.Owner, in.byOwner}, {in.Reason, in.byReason}, {in.Packet, in.byPacket},
	} {
		if c.asked == "" {
			continue
		}
		k, err := c.choose(state)
		if err != nil {
			return nil, err
		}
		keep = append(keep, k)
	}
	return keep, nil
}

func (in *FlowFilter) byTenant(state *store.State) (func(Flow) bool, error) {
	t := state.Tenant(in.Tenant)
	if t == nil {
		return nil, absent("tenant", in.Tenant, "tenant list")
	}
	number := t.Value.Number
	return func(f Flow) bool { return f.tenant == number }, nil
}

func (in *FlowFilter) byNetwork(state *store.State) (func(Flow) bool, error) {
	tenant, network, two := strings.Cut(in.Network, "/")
	if !two {
		return nil, malformed(fmt.Sprintf("network %q: write it as TENANT/NETWORK", in.Network))
	}
	if state.Network(store.NetworkName{Tenant: tenant, Network: network}) == nil {
		return nil, absent("network", in.Network, "network list")
	}
	return func(f Flow) bool {
		return f.Owner == "network "+in.Network || strings.HasPrefix(f.Owner, "port "+in.Network+"/")
	}, nil
}

func (in *FlowFilter) byPort(state *store.State) (func(Flow) bool, error) {
	return func(f Flow) bool { return f.Owner == "port "+in.Port }, checkPort(state, in.Port)
}

func (in *FlowFilter) byTable(*store.State) (func(Flow) bool, error) {
	id, err := TableID(in.Table)
	if err != nil {
		return nil, huma.Error404NotFound(err.Error())
	}
	return func(f Flow) bool { return f.Table == id }, nil
}

func (in *FlowFilter) byOwner(*store.State) (func(Flow) bool, error) {
	return func(f Flow) bool {
		kind, _, _ := strings.Cut(f.Owner, " ")
		return f.Owner == in.Owner || kind == in.Owner
	}, nil
}

func (in *FlowFilter) byReason(*store.State) (func(Flow) bool, error) {
	var names []string
	for _, r := range flows.Reasons() {
		names = append(names, r.Name)
	}
	if !slices.Contains(names, in.Reason) {
		return nil, huma.Error404NotFound(fmt.Sprintf("reason %s does not exist: it is one of %s", in.Reason, strings.Join(names, ", ")))
	}
	return func(f Flow) bool { return strings.HasSuffix(f.Note, ": "+in.Reason) }, nil
}

func (in *FlowFilter) byPacket(*store.State) (func(Flow) bool, error) {
	packet, err := PacketMatch(in.Packet)
	if err != nil {
		return nil, malformed(err.Error())
	}
	return func(f Flow) bool { return f.match.Meets(packet) }, nil
}

// PacketMatch reads what is said of a packet, as a match in ovs-ofctl's syntax.
func PacketMatch(text string) (openflow.Match, error) {
	if strings.Contains(text, "actions") {
		return nil, fmt.Errorf("packet %q: write a match alone, such as ip,nw_dst=10.0.0.7", text)
	}
	f, err := openflow.ParseFlow(text + " actions=drop")
	if err != nil {
		return nil, fmt.Errorf("packet %q: %w: write it as a match of ovs-ofctl, such as ip,nw_dst=10.0.0.7", text, err)
	}
	return f.Match, nil
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

// Flows reads flows of one host. Where they are compiled, problems are what compiles to less than
// it asks for, an object and what is wrong with it each.
func (c *Client) Flows(ctx context.Context, host string, f FlowFilter) (list []Flow, problems []string, err error) {
	q := query("tenant", f.Tenant, "network", f.Network, "port", f.Port, "table", f.Table,
		"owner", f.Owner, "reason", f.Reason, "packet", f.Packet, "view", f.View, "at", number(uint64(f.At)), "since", number(uint64(f.Since)))
	list, header, err := exchange[[]Flow](ctx, c, http.MethodGet, with(path("hosts", host)+"/flows", q), nil)
	return list, header.Values(problemHeader), err
}
