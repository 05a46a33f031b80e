package api

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/store"
)

// chooser is the filter that a request asks for. Names of nothing are refused.
func (s *server) chooser(in *flowQuery) (func(described) bool, error) {
	var keep []func(described) bool
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
	return func(f described) bool {
		return !slices.ContainsFunc(keep, func(k func(described) bool) bool { return !k(f) })
	}, nil
}

// choosers are what a flow must pass to be chosen.
func (in *flowQuery) choosers(state *store.State) (keep []func(described) bool, err error) {
	for _, c := range []struct {
		asked  string
		choose func(*store.State) (func(described) bool, error)
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

func (in *flowQuery) byTenant(state *store.State) (func(described) bool, error) {
	t := state.Tenant(in.Tenant)
	if t == nil {
		return nil, absent("tenant", in.Tenant, "tenant list")
	}
	number := t.Value.Number
	return func(f described) bool { return f.tenant == number }, nil
}

func (in *flowQuery) byNetwork(state *store.State) (func(described) bool, error) {
	tenant, network, two := strings.Cut(in.Network, "/")
	if !two {
		return nil, malformed(fmt.Sprintf("network %q: write it as TENANT/NETWORK", in.Network))
	}
	if state.Network(store.NetworkName{Tenant: tenant, Network: network}) == nil {
		return nil, absent("network", in.Network, "network list")
	}
	return func(f described) bool {
		return f.Owner == "network "+in.Network || strings.HasPrefix(f.Owner, "port "+in.Network+"/")
	}, nil
}

func (in *flowQuery) byPort(state *store.State) (func(described) bool, error) {
	return func(f described) bool { return f.Owner == "port "+in.Port }, checkPort(state, in.Port)
}

func (in *flowQuery) byTable(*store.State) (func(described) bool, error) {
	id, err := TableID(in.Table)
	if err != nil {
		return nil, huma.Error404NotFound(err.Error())
	}
	return func(f described) bool { return f.Table == id }, nil
}

func (in *flowQuery) byOwner(*store.State) (func(described) bool, error) {
	return func(f described) bool {
		kind, _, _ := strings.Cut(f.Owner, " ")
		return f.Owner == in.Owner || kind == in.Owner
	}, nil
}

func (in *flowQuery) byReason(*store.State) (func(described) bool, error) {
	var names []string
	for _, r := range flows.Reasons() {
		names = append(names, r.Name)
	}
	if !slices.Contains(names, in.Reason) {
		return nil, huma.Error404NotFound(fmt.Sprintf("reason %s does not exist: it is one of %s", in.Reason, strings.Join(names, ", ")))
	}
	return func(f described) bool { return strings.HasSuffix(f.Note, ": "+in.Reason) }, nil
}

func (in *flowQuery) byPacket(*store.State) (func(described) bool, error) {
	packet, err := PacketMatch(in.Packet)
	if err != nil {
		return nil, malformed(err.Error())
	}
	return func(f described) bool { return f.match.Meets(packet) }, nil
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
