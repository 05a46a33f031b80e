package flows

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
	numReasons
)

// Reason is one reason of refusal, as metrics and the documentation show it.
type Reason struct {
	Name string
	Text string
}

// Reasons are all of them, in the order of their numbers from 1.
func Reasons() []Reason {
	return []Reason{
		{"unknown-port", "it came in on a port that belongs to no container"},
		{"unknown-vtep", "it came by tunnel from an address that is no host's VTEP"},
		{"unknown-segment", "its tunnel key or VLAN id is of no network that is present here"},
		{"spoofed", "its source MAC, ARP sender, IP source or neighbour discovery option is not its port's"},
		{"forbidden", "no container may send it: a VLAN tag, a DHCP server's or router's message, a fragment that could hide one"},
		{"unanswered", "it asks for a neighbour, router or group that nobody here answers for (ARP, ND, MLD)"},
		{"no-route", "its destination is closed to tenants, or the tenant has no gateway for it"},
		{"ttl", "its TTL ran out between two networks"},
		{"unknown-destination", "no port of the network has its destination MAC or address"},
		{"infrastructure", "it would open a connection to a host, the underlay, etcd or a controller"},
		{"no-connection", "the gateway knows no connection for it and may not open one"},
		{"connection-limit", "the tenant has as many connections at its gateway host as its limit allows, or conntrack found no free one"},
		{"broadcast-limit", "the tenant's ports on the host broadcast more than its limit allows; a meter drops it"},
	}
}

func (r reason) String() string {
	if all := Reasons(); r >= 1 && int(r) <= len(all) {
		return all[r-1].Name
	}
	return "unknown"
}
