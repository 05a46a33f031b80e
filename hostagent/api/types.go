package api

// DefaultSocket is where an agent listens unless told otherwise.
const DefaultSocket = "/run/sluice/agent.sock"

// DefaultNetwork is the network that every tenant has.
const DefaultNetwork = "default"

// Paths that an agent serves. A port's own path is PathPorts/{tenant}/{network}/{name}.
const (
	PathPorts  = "/v1/ports"
	PathStatus = "/v1/status"
	PathCheck  = "/check" // below a port's own path
)

// AttachRequest asks for a port in a tenant's network, with a container behind it.
type AttachRequest struct {
	Tenant      string            `json:"tenant"`
	Network     string            `json:"network,omitempty"`     // empty: DefaultNetwork
	Name        string            `json:"name"`                  // a DNS label, unique in its network
	NetNS       string            `json:"netns"`                 // path of the container's network namespace
	IfName      string            `json:"ifName,omitempty"`      // inside the container; empty: eth0
	Address     string            `json:"address,omitempty"`     // empty: the network chooses
	Addresses   []string          `json:"addresses,omitempty"`   // more of them, one of each subnet at most
	MAC         string            `json:"mac,omitempty"`         // empty: derived
	ContainerID string            `json:"containerID,omitempty"` // as the runtime knows it
	Runtime     string            `json:"runtime,omitempty"`     // who asks: cni, docker, lxc, ...
	Labels      map[string]string `json:"labels,omitempty"`
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
	IfName    string   `json:"ifName,omitempty"`   // the container's end; known in answers to Attach
	NetNS     string   `json:"netns,omitempty"`    // likewise
	// ContainerID, Runtime and Labels are the request's own.
	ContainerID string            `json:"containerID,omitempty"`
	Runtime     string            `json:"runtime,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Revision    int64             `json:"revision"` // etcd revision at which the port was created
	// Warnings name what is not yet as it should be, such as remote hosts that lag behind.
	Warnings []string `json:"warnings,omitempty"`
}

// DetachRequest names the port that goes.
type DetachRequest struct {
	Tenant  string `json:"tenant"`
	Network string `json:"network,omitempty"` // empty: DefaultNetwork
	Name    string `json:"name"`
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
