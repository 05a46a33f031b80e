package flows

import of "sluice/datapath/openflow"

// reason says why a frame is refused. It stands in regReason on the way to the drop table.
type reason uint64

const (
	reasonUnknownPort reason = 1 + iota
	reasonUnknownVTEP
	reasonUnknownSegment
	reasonSpoofed
	reasonForbidden
	reasonUnanswered
	reasonNoRoute
	reasonTTL
	reasonUnknownDestination
	reasonInfrastructure
	reasonNoConnection
	reasonConnectionLimit
	reasonBroadcastLimit
	reasonRate
	reasonUnknownSource
	reasonElsewhere
	numReasons
)

// Reason is one reason of refusal, as metrics and the documentation show it.
type Reason struct {
	Name  string
	Text  string // why
	Allow string // what would let the frame pass
}

// ReasonElsewhere is the name of the reason that befalls what arrives on another host.
const ReasonElsewhere = "elsewhere"

// Reasons are all of them, in the order of their numbers from 1.
func Reasons() []Reason {
	return []Reason{
		{"unknown-port", "it came in on a port that belongs to no container",
			"attach the container with sluice port attach, or remove the interface from the bridge"},
		{"unknown-vtep", "it came by tunnel from an address that is no host's VTEP",
			"register the host that sends it: its agent says its tunnel address with --vtep"},
		{"unknown-segment", "its tunnel key or VLAN id is of no network that is present here",
			"a port of the network on this host, or this host as the tenant's gateway: it holds no flows of the network until then"},
		{"spoofed", "its source MAC, ARP sender, IP source or neighbour discovery option is not its port's",
			"send it with the port's own MAC and addresses (sluice port show), or have the port's allowed pairs name the others"},
		{"forbidden", "no container may send it: a VLAN tag, a DHCP server's or router's message, a fragment that could hide one",
			"nothing: ask the cluster instead, whose addresses are given at attach and whose router is in each network"},
		{"unanswered", "it asks for a neighbour, router or group that nobody here answers for (ARP, ND, MLD)",
			"a port of the network that has the address asked for; the router answers for its own, and nobody for one's own"},
		{"no-route", "its destination is closed to tenants, or the tenant has no gateway for it",
			"a destination that is not closed to tenants and, outside the tenant's networks, a gateway for the tenant: sluice gateway move TENANT HOST; egress is IPv4 only"},
		{"ttl", "its TTL ran out between two networks",
			"a TTL of 2 or more: routing between networks costs one"},
		{"unknown-destination", "no port of the network has its destination MAC or address",
			"a port that has the destination; send what is for another network to the router's MAC"},
		{"infrastructure", "it would open a connection to a host, the underlay, etcd or a controller",
			"nothing: hosts, the underlay, etcd and controllers are closed to containers; a service that containers are to reach needs an address elsewhere"},
		{"no-connection", "the gateway knows no connection for it and may not open one",
			"a connection that a container of the tenant opens: from outside only its answers pass"},
		{"connection-limit", "the tenant has as many connections at its gateway host as its limit allows, or conntrack found no free one",
			"fewer connections, or a higher limit: sluice tenant set TENANT --limit-connections N"},
		{"broadcast-limit", "the tenant's ports on the host broadcast more than its limit allows; a meter drops it",
			"fewer broadcasts, or a higher limit: sluice tenant set TENANT --limit-broadcasts N"},
		{"rate", "a port sends or gets more bits a second than its limit allows, or its tenant does through its gateway host; a meter drops it",
			"less at a time, or a higher limit: sluice tenant set TENANT --limit-egress-kbps N, or whichever limit it is"},
		{"unknown-source", "it came by the trunk, from a MAC that no port of its network on another host has",
			"a port that has the MAC; nothing else on the trunk may speak in VLANs of tenants"},
		{ReasonElsewhere, "it came by the trunk, and is for a port on another host: a switch of the trunk sent it to all of them",
			"nothing: it arrives there; the switch sends it there alone once it has seen the port's MAC"},
	}
}

func (r reason) String() string {
	if all := Reasons(); r >= 1 && int(r) <= len(all) {
		return all[r-1].Name
	}
	return "unknown"
}

// Refuses says why a flow refuses what it matches; ok is false where it does not. What it sends
// to the drop table counts there.
func Refuses(f *of.Flow) (why Reason, ok bool) {
	for _, a := range f.Actions {
		if l, is := a.(of.Load); is && l.Target.Field == regReason {
			return reason(l.Value).described(), true
		}
	}
	return Reason{}, false
}

func (r reason) described() Reason {
	if all := Reasons(); r >= 1 && int(r) <= len(all) {
		return all[r-1]
	}
	return Reason{Name: r.String()}
}
