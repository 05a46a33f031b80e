package events

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"sluice/controller/host"
	"sluice/store"
)

// sight is what is seen of a host.
type sight struct {
	store.Happening
	well   bool          // nothing is to be told of it where nothing was told before
	steady time.Duration // that it must last
}

// The parts of a host that events follow each other on.
const (
	partSwitch = "switch"
	partAgent  = "agent"
	partProof  = "proof"
)

// partOf is the part of a host that an event tells of; empty: none.
func partOf(w store.What) string {
	switch w {
	case store.AgentAway, store.AgentBack:
		return partAgent
	case store.ProofViolated, store.ProofWhole:
		return partProof
	case store.HostBack:
		return partSwitch
	}
	if _, state := wordsOf[store.HostState(strings.TrimPrefix(string(w), "host-"))]; state {
		return partSwitch
	}
	return ""
}

// wordsOf say what the states of hosts mean.
var wordsOf = map[store.HostState]string{
	store.HostBehind:      "its switch is not yet brought to what it should hold",
	store.HostDown:        "its switch is not connected to a controller",
	store.HostUnreachable: "no frame passes between it and other hosts",
	store.HostMissing:     "its switch lacks interfaces of ports",
	store.HostRefused:     "its switch refused flows, or some are left out",
	store.HostLastKnown:   "it goes on by what was known when etcd went away",
}

func ofHost(name string, what store.What, text, detail string) store.Happening {
	return store.Happening{What: what, Object: "host " + name, Hosts: []string{name}, Text: text, Detail: detail}
}

// switchOf is how a host's switch stands.
func switchOf(h host.Status) sight {
	if h.State == store.HostRealized {
		return sight{ofHost(h.Name, store.HostBack, "its switch holds what it should", ""), true, steadyTime}
	}
	detail := ""
	switch {
	case len(h.Missing) > 0:
		detail = fmt.Sprintf("%d ports, first %s", len(h.Missing), h.Missing[0])
	case len(h.Problems) > 0 && h.State != store.HostDown:
		detail = h.Problems[0].Object + ": " + h.Problems[0].Text
	}
	return sight{ofHost(h.Name, store.What("host-"+h.State), wordsOf[h.State], detail), false, steadyTime}
}

// agentOf is how a host's agent stands. Its lease has waited already.
func agentOf(h host.Status) sight {
	if h.Live {
		return sight{ofHost(h.Name, store.AgentBack, "its agent is there", ""), true, 0}
	}
	return sight{ofHost(h.Name, store.AgentAway, "its agent is away: containers can neither come nor go there", ""), false, 0}
}

// proofOf is what is proved of a host.
func proofOf(h host.Status) sight {
	if h.Proof == nil || h.Proof.Isolation != host.IsolationUnproved {
		return sight{ofHost(h.Name, store.ProofWhole, "its flows are proved to keep tenants apart", ""), true, 0}
	}
	return sight{ofHost(h.Name, store.ProofViolated, "a flow of its switch breaks a rule of the proof that tenants are kept apart",
		fmt.Sprintf("%d flows, first %s", h.Proof.Findings, h.Proof.First)), false, 0}
}

// told is what a change of the store tells operators.
func told(c store.Change) []store.Happening {
	switch c.Key.Kind {
	case store.KindGateway:
		return ofGateway(c)
	case store.KindTenant:
		return ofTenant(c)
	case store.KindPort:
		return ofPort(c)
	case store.KindHost:
		return ofHostChange(c)
	}
	return nil
}

// ofGateway tells that a gateway went, or did not go, to another host.
func ofGateway(c store.Change) []store.Happening {
	before, _ := c.Before.(*store.Gateway)
	after, _ := c.After.(*store.Gateway)
	if before == nil || after == nil || c.Anew {
		return nil
	}
	h := store.Happening{Object: "tenant " + c.Key.Tenant, Tenant: c.Key.Tenant, Detail: after.Why}
	switch {
	case after.Active != before.Active:
		h.What, h.Hosts, h.Text = store.GatewayMoved, []string{before.Active, after.Active}, fmt.Sprintf("from %s to %s", before.Active, after.Active)
		if after.Active == before.Backup && (before.Move == nil || before.Move.To != after.Active) {
			h.What = store.GatewayFailedOver
		}
	case before.Move != nil && after.Move == nil:
		h.What, h.Hosts, h.Text = store.GatewayStays, []string{after.Active, before.Move.To}, fmt.Sprintf("at %s, and does not go to %s", after.Active, before.Move.To)
	default:
		return nil
	}
	return []store.Happening{h}
}

// ofTenant tells that a tenant's limits are others.
func ofTenant(c store.Change) []store.Happening {
	before, _ := c.Before.(*store.Tenant)
	after, _ := c.After.(*store.Tenant)
	if before == nil || after == nil || c.Anew || before.Limits == after.Limits {
		return nil
	}
	return []store.Happening{{What: store.LimitsChanged, Object: "tenant " + c.Key.Tenant, Tenant: c.Key.Tenant, Text: otherLimits(before.Limits, after.Limits)}}
}

// ofPort tells that a port's own limits are others.
func ofPort(c store.Change) []store.Happening {
	before, _ := c.Before.(*store.Port)
	after, _ := c.After.(*store.Port)
	if before == nil || after == nil || c.Anew || before.OwnLimits() == after.OwnLimits() {
		return nil
	}
	object := fmt.Sprintf("port %s/%s/%s", c.Key.Tenant, c.Key.Network, c.Key.Name)
	return []store.Happening{{What: store.LimitsChanged, Object: object, Tenant: c.Key.Tenant, Text: otherLimits(before.OwnLimits(), after.OwnLimits())}}
}

// otherLimits names those that differ, as JSON does: "ports 5 -> 6".
func otherLimits(before, after any) string {
	var list []string
	b, a := reflect.ValueOf(before), reflect.ValueOf(after)
	for i := range b.NumField() {
		if name, _, _ := strings.Cut(b.Type().Field(i).Tag.Get("json"), ","); !b.Field(i).Equal(a.Field(i)) {
			list = append(list, fmt.Sprintf("%s %v -> %v", name, b.Field(i), a.Field(i)))
		}
	}
	return strings.Join(list, ", ")
}

// ofHostChange tells that a host came or was deleted.
func ofHostChange(c store.Change) []store.Happening {
	switch name := c.Key.Host; {
	case c.After == nil:
		return []store.Happening{ofHost(name, store.HostDeleted, "it belongs to the cluster no more", "")}
	case c.Before == nil || c.Anew:
		return []store.Happening{ofHost(name, store.HostAdopted, "it belongs to the cluster", "")}
	}
	return nil
}
