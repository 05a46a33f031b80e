package api

import (
	"net/netip"
	"time"

	"sluice/controller/host"
	"sluice/store"
)

// Tenant is a tenant as the API shows it: the store's fields, its name, and what it has.
type Tenant struct {
	Name string `json:"name"`
	store.Tenant
	Transit     netip.Addr     `json:"transit"`               // its own address towards its gateway's kernel
	GatewayHost string         `json:"gatewayHost,omitempty"` // through which its egress leaves now
	Networks    []string       `json:"networks"`
	Ports       int            `json:"ports"`
	Created     store.Revision `json:"created"`
}

// Network is a network of a tenant.
type Network struct {
	Tenant string `json:"tenant"`
	Name   string `json:"name"`
	store.Network
	Hosts   []string       `json:"hosts"` // where it is present
	Ports   int            `json:"ports"`
	Created store.Revision `json:"created"`
}

// Host is a registered host and how it stands.
type Host struct {
	Name string `json:"name"`
	store.Host
	State     store.HostState `json:"state"`
	Realized  store.Revision  `json:"realized"`
	Master    string          `json:"master,omitempty"` // the controller that programs it
	Connected bool            `json:"connected"`        // its switch, to the controller that answers
	Live      bool            `json:"live"`             // its agent holds its lease
	Flows     int             `json:"flows"`
	Ports     int             `json:"ports"`
	Missing   []string        `json:"missing,omitempty"` // ports whose interface the switch lacks
	Problems  store.Problems  `json:"problems,omitempty"`
	Created   store.Revision  `json:"created"`
}

// Port is a container's attachment.
type Port struct {
	Tenant  string `json:"tenant"`
	Network string `json:"network"`
	Name    string `json:"name"`
	Host    string `json:"host"`
	store.Port
	Created store.Revision `json:"created"`
}

// Gateway says through which host a tenant's egress leaves, and by which policy.
type Gateway struct {
	Tenant string `json:"tenant"`
	Policy string `json:"policy"` // auto, central, or a host
	store.Gateway
}

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

// HostStatus is how one host stands.
type HostStatus host.Status

// Status is the whole cluster at a glance.
type Status struct {
	Revision    store.Revision     `json:"revision"`
	Tenants     int                `json:"tenants"`
	Networks    int                `json:"networks"`
	Ports       int                `json:"ports"`
	HostStates  map[string]int     `json:"hostStates"` // how many hosts are in each state
	Hosts       []HostStatus       `json:"hosts"`
	Controllers []ControllerStatus `json:"controllers"`
	Unknown     []store.DatapathID `json:"unknown"` // switches that dialled in and belong to no host
	Problems    store.Problems     `json:"problems"`
}

// ControllerStatus is one live controller.
type ControllerStatus struct {
	Name     string    `json:"name"`
	OpenFlow string    `json:"openflow"` // where switches dial in
	API      string    `json:"api"`
	Since    time.Time `json:"since"`
	Answers  bool      `json:"answers"` // it is the one that gave this status
}

// TenantSpec is what a client says to create a tenant.
type TenantSpec struct {
	Name         string       `json:"name" doc:"a DNS label" example:"alice"`
	Gateway      string       `json:"gateway,omitempty" doc:"auto (the default), central, or a host"`
	Segmentation string       `json:"segmentation,omitempty" doc:"tunnel (the default) or vlan, of the network default"`
	Subnets      []string     `json:"subnets,omitempty" doc:"of the network default; none: 10.0.0.0/24" example:"[\"10.0.0.0/24\"]"`
	Hosts        []string     `json:"hosts,omitempty" doc:"hosts allowed; none: all"`
	Limits       store.Limits `json:"limits,omitzero"`
	Labels       store.Labels `json:"labels,omitempty"`
}

// NetworkSpec is what a client says to create a network.
type NetworkSpec struct {
	Tenant       string   `json:"tenant" example:"alice"`
	Name         string   `json:"name" doc:"a DNS label" example:"db"`
	Segmentation string   `json:"segmentation,omitempty" doc:"tunnel (the default) or vlan"`
	Subnets      []string `json:"subnets" example:"[\"10.0.1.0/24\"]"`
	Gateways     []string `json:"gateways,omitempty" doc:"the router's address in each subnet; none: the first usable"`
	MTU          int      `json:"mtu,omitempty" doc:"bytes; 0: derived from the underlay"`
	Flood        string   `json:"flood,omitempty" doc:"auto (the default), on or off"`
}

// Deleted tells the revision at which something went.
type Deleted struct {
	Revision store.Revision `json:"revision"`
}
