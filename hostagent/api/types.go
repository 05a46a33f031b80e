package api

import "strings"

// DefaultSocket is where an agent listens unless told otherwise.
const DefaultSocket = "/run/sluice/agent.sock"

// DefaultNetwork is the network that every tenant has.
const DefaultNetwork = "default"

// Paths that an agent serves. A port's own path is PathPorts/{tenant}/{network}/{name}, a reserved
// address's PathReservations/{tenant}/{network}/{address}, that of a tenant's networks PathNetworks/{tenant}.
const (
	PathPorts        = "/v1/ports"
	PathStatus       = "/v1/status"
	PathReservations = "/v1/reservations"
	PathNetworks     = "/v1/networks"
	PathCheck        = "/check" // below a port's own path
)

// AttachRequest asks for a port in a tenant's network, with a container behind it.
type AttachRequest struct {
	Tenant      string            `json:"tenant"`
	Network     string            `json:"network,omitempty"`     // empty: DefaultNetwork
	Name        string            `json:"name"`                  // a DNS label, unique in its network
	NetNS       string            `json:"netns,omitempty"`       // path of the container's network namespace
	IfName      string            `json:"ifName,omitempty"`      // inside the container; empty: eth0
	Address     string            `json:"address,omitempty"`     // empty: the network chooses
	Addresses   []string          `json:"addresses,omitempty"`   // more of them, one of each subnet at most
	MAC         string            `json:"mac,omitempty"`         // empty: derived
	MTU         int               `json:"mtu,omitempty"`         // bytes, no more than the network's; 0: the network's
	Routes      []Route           `json:"routes,omitzero"`       // instead of default routes; nil: those
	ContainerID string            `json:"containerID,omitempty"` // as the runtime knows it
	Runtime     string            `json:"runtime,omitempty"`     // who asks: cni, docker, lxc, ...
	Labels      map[string]string `json:"labels,omitempty"`
	// HandOver leaves the container's end in the host's namespace, down and without address: the
	// runtime moves it into the container and gives it its name and addresses. NetNS and IfName are
	// empty then, and the answer's IfName says what the end is called.
	HandOver bool `json:"handOver,omitempty"`
	// Sticky leaves MAC and addresses with the port's name when it goes: the next port of that name on this host gets them.
	Sticky bool `json:"sticky,omitempty"`
	// Publish lets the outside reach ports of the container, by its tenant's gateway host, for as long as the port is there.
	Publish []Publish `json:"publish,omitempty"`
	// Limits bound what the container sends and gets, beside the tenant's own limits of a port; nil: none.
	Limits *Limits `json:"limits,omitempty"`
	// Reserved is the name of the reservation that holds Addresses; empty: none does.
	Reserved string `json:"reserved,omitempty"`
}

// Publish is a port of a tenant's gateway host that leads to one of a container, or several that follow each other.
type Publish struct {
	Protocol string `json:"protocol,omitempty"` // tcp or udp; empty: tcp
	Port     uint16 `json:"port"`               // the container's, or the first of them
	On       uint16 `json:"on"`                 // the gateway host's
	Count    uint16 `json:"count,omitempty"`    // 0: one
}

// Limits bound what a port sends and gets: in kilobits a second, and in kilobits that may pass at once. Zero: no limit, and a
// second's worth.
type Limits struct {
	EgressKbps   uint32 `json:"egressKbps,omitempty"`
	IngressKbps  uint32 `json:"ingressKbps,omitempty"`
	EgressBurst  uint32 `json:"egressBurst,omitempty"`
	IngressBurst uint32 `json:"ingressBurst,omitempty"`
}

// hostEnd begins the names of the hosts' ends of interfaces.
const hostEnd = "sl-"

// IsHostEnd reports whether a name is that of a host's end.
func IsHostEnd(name string) bool { return strings.HasPrefix(name, hostEnd) }

// HandedEnd is the name of the container's end of an interface, while it waits in the host's namespace
// for the runtime that it was handed over to.
func HandedEnd(of string) string { return "sc-" + strings.TrimPrefix(of, hostEnd) }

// ReserveRequest asks for an address for a port that is attached soon. It stays taken until a port
// has it, until it is unreserved, and for ten minutes at least.
type ReserveRequest struct {
	Tenant  string `json:"tenant"`
	Network string `json:"network"`
	Name    string `json:"name"`              // of the reservation, a DNS label: who repeats a request gets the same address
	Subnet  string `json:"subnet"`            // one of the network, as 10.0.0.0/24
	Address string `json:"address,omitempty"` // empty: any of Subnet
}

// Reservation is an address that is taken.
type Reservation struct {
	Address string `json:"address"` // with prefix length
}

// UnreserveRequest names an address that is reserved.
type UnreserveRequest struct{ Tenant, Network, Address string }

// Network is a network of a tenant.
type Network struct {
	Tenant  string   `json:"tenant"`
	Name    string   `json:"name"`
	Subnets []Subnet `json:"subnets"`
}

// Subnet is an address range of a network, and the address of its router.
type Subnet struct {
	Prefix  string `json:"prefix"`  // as 10.0.0.0/24
	Gateway string `json:"gateway"` // without prefix length
}

// Attachment is a container's interface as it was made.
type Attachment struct {
	Tenant    string   `json:"tenant"`
	Network   string   `json:"network"`
	Name      string   `json:"name"`
	Host      string   `json:"host"`
	MAC       string   `json:"mac"`
	Addresses []string `json:"addresses"`          // with prefix length
	Gateways  []string `json:"gateways,omitempty"` // at most one of each family
	MTU       int      `json:"mtu"`                // bytes
	Interface string   `json:"interface"`          // the host's end
	Routes    []Route  `json:"routes,omitzero"`    // those that were asked for; in answers to Attach
	DNS       *DNS     `json:"dns,omitempty"`      // nil: the host has no resolver
	IfName    string   `json:"ifName,omitempty"`   // the container's end; known in answers to Attach
	NetNS     string   `json:"netns,omitempty"`    // likewise
	// ContainerID, Runtime and Labels are the request's own.
	ContainerID string            `json:"containerID,omitempty"`
	Runtime     string            `json:"runtime,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Publish     []Publish         `json:"publish,omitempty"` // in ranges, where ports follow each other
	Limits      *Limits           `json:"limits,omitempty"`
	Revision    int64             `json:"revision"` // etcd revision at which the port was created
	// Arrives says that the port came from another host and waits for its container: Attach gives it that. In answers to List.
	Arrives bool `json:"arrives,omitempty"`
	// Warnings name what is not yet as it should be, such as remote hosts that lag behind.
	Warnings []string `json:"warnings,omitempty"`
}

// Route is a route of a container.
type Route struct {
	Destination string `json:"destination"`       // a prefix
	Gateway     string `json:"gateway,omitempty"` // empty: the network's router
}

// DNS is what a container's resolv.conf should say.
type DNS struct {
	Nameservers []string `json:"nameservers"`
	Search      []string `json:"search"`
}

// DetachRequest names the port that goes.
type DetachRequest struct {
	Tenant  string `json:"tenant"`
	Network string `json:"network,omitempty"` // empty: DefaultNetwork
	Name    string `json:"name"`
	// ContainerID is whose port goes: one that another container has by now stays. Empty: whoever has it.
	ContainerID string `json:"containerID,omitempty"`
	// Interface is the host's end of the port that goes: one that was made anew under the name, also for the same container,
	// stays. Empty: the one that is there.
	Interface string `json:"interface,omitempty"`
}

// Detachment asks for this very port to go: a later one of its name stays.
func (a Attachment) Detachment() DetachRequest {
	return DetachRequest{Tenant: a.Tenant, Network: a.Network, Name: a.Name, ContainerID: a.ContainerID, Interface: a.Interface}
}

// CheckRequest names a port, and the interface of its container that is to be as it was made.
type CheckRequest struct {
	DetachRequest
	NetNS  string
	IfName string
}

// Status is how an agent is doing.
type Status struct {
	Host        string `json:"host"`
	Incarnation string `json:"incarnation"`
	DatapathID  string `json:"datapathID"`
	VTEP        string `json:"vtep"`
	Encap       string `json:"encap"`
	MTU         int    `json:"mtu"` // of containers in tunnel segmentation, bytes
	Registered  bool   `json:"registered"`
	Gateway     bool   `json:"gateway"`
	Ports       int    `json:"ports"`
	// Peers is how many other hosts' tunnel addresses are resolved: the switch drops the first
	// packet to one that is not.
	Peers int `json:"peers"`
	// Problems is what the agent could not do at its last try, a line each.
	Problems []string `json:"problems,omitempty"`
	Store    Store    `json:"store"`
	// Resolver is how the host's resolver is doing; nil: it has none.
	Resolver *ResolverStatus `json:"resolver,omitempty"`
}

// ResolverStatus is how the resolver of a host is doing. Counts are since the agent's start.
type ResolverStatus struct {
	Tenants   int    `json:"tenants"`   // that can ask here
	Names     int    `json:"names"`     // of ports of all tenants and hosts
	Questions uint64 `json:"questions"` // that were answered
	Forwarded uint64 `json:"forwarded"` // of them upstream
	Cached    uint64 `json:"cached"`    // of them from what upstream answered before
	Limited   uint64 `json:"limited"`   // that were refused, since the tenant asked upstream too often
	Failed    uint64 `json:"failed"`    // that upstream did not answer
}

// Store is which store of the cluster's state a host serves.
type Store struct {
	ID string `json:"id,omitempty"` // empty: it remembers none
	// Held is why the agent attaches, detaches and removes nothing: etcd holds another store, or
	// one that went back. Empty: it does not hold.
	Held string `json:"held,omitempty"`
	// Offered are ports, tenant/network/name, that the host has and the store lacks, Strays
	// interfaces that belong to no port: they wait for `sluice host adopt` or `sluice host clean`.
	Offered []string `json:"offered,omitempty"`
	Strays  []string `json:"strays,omitempty"`
}
