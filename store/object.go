package store

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Revision is an etcd revision: one number for the whole store, growing with each txn.
type Revision int64

// Object is a value that etcd holds. The set is closed.
type Object interface{ Kind() Kind }

// Gateway policies of a tenant; any other text names a host.
const (
	GatewayAuto    = "auto"    // the leader spreads tenants over gateway-capable hosts
	GatewayCentral = "central" // all such tenants share one host, as the paper's small design does
)

// Tenant is the unit of isolation, counters and quota.
type Tenant struct {
	Number  uint32   `json:"number"`            // 1 to MaxTenantNumber
	Gateway string   `json:"gateway"`           // GatewayAuto, GatewayCentral or a host
	Hosts   []string `json:"hosts,omitempty"`   // hosts allowed; empty: all
	Limits  Limits   `json:"limits,omitzero"`   // what the tenant may take
	Labels  Labels   `json:"labels,omitempty"`  // free
	Note    string   `json:"comment,omitempty"` // free
}

// MayUse tells whether the tenant may have ports on a host.
func (t *Tenant) MayUse(host string) bool {
	return len(t.Hosts) == 0 || slices.Contains(t.Hosts, host)
}

// Labels are free key-value pairs for people and selectors.
type Labels map[string]string

// Limits bound what a tenant or a port takes; zero means no limit.
type Limits struct {
	Ports       int    `json:"ports,omitempty"`
	EgressKbps  uint32 `json:"egressKbps,omitempty"`
	IngressKbps uint32 `json:"ingressKbps,omitempty"`
}

// Segmentation is how a network is marked on the wire.
type Segmentation string

// The two designs of the paper.
const (
	SegmentationVLAN   Segmentation = "vlan"
	SegmentationTunnel Segmentation = "tunnel"
)

// FloodMode says whether broadcast and multicast are replicated in a network.
type FloodMode string

// FloodAuto stops replicating where the network spans more hosts than a switch can copy to.
const (
	FloodAuto FloodMode = "auto"
	FloodOn   FloodMode = "on"
	FloodOff  FloodMode = "off"
)

// Network is an L2 segment of a tenant.
type Network struct {
	Number       uint32       `json:"number"` // 24 bits; metadata's low half
	Segmentation Segmentation `json:"segmentation"`
	Segment      uint32       `json:"segment"` // a VLAN id, or the tunnel key (the number)
	Subnets      []Subnet     `json:"subnets,omitempty"`
	MTU          int          `json:"mtu,omitempty"` // 0: derived from the underlay
	Flood        FloodMode    `json:"flood"`
}

// Subnet is an address range of a network and the router's address in it.
type Subnet struct {
	Prefix  netip.Prefix `json:"prefix"`
	Gateway netip.Addr   `json:"gateway"`
}

// Host is a machine with an Open vSwitch bridge and an agent.
type Host struct {
	Incarnation string       `json:"incarnation"` // random for each agent's first start
	DatapathID  DatapathID   `json:"datapathID"`
	VTEPs       []netip.Addr `json:"vteps"`
	Uplink      string       `json:"uplink,omitempty"` // interface to the outside
	Gateway     bool         `json:"gateway"`          // may be a gateway host
	Weight      int          `json:"weight,omitempty"` // share of tenants by `auto`; 0 counts as 1
	Encap       string       `json:"encap"`            // vxlan, geneve or gre
	UnderlayMTU int          `json:"underlayMTU"`
	// Infrastructure is what this host keeps closed to tenants' egress: its underlay,
	// its own addresses, etcd and the controllers.
	Infrastructure []netip.Prefix `json:"infrastructure,omitempty"`
	Labels         Labels         `json:"labels,omitempty"`
}

// VTEP is the tunnel address that flows use, or the zero address.
func (h *Host) VTEP() netip.Addr {
	if len(h.VTEPs) == 0 {
		return netip.Addr{}
	}
	return h.VTEPs[0]
}

// DatapathID is a switch's 64-bit OpenFlow id; in JSON 16 hexadecimal digits, as OVS shows it.
type DatapathID uint64

func (d DatapathID) String() string { return fmt.Sprintf("%016x", uint64(d)) }

// MarshalText implements encoding.TextMarshaler.
func (d DatapathID) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *DatapathID) UnmarshalText(b []byte) error {
	v, err := strconv.ParseUint(string(b), 16, 64)
	if err != nil || len(b) != 16 {
		return fmt.Errorf("datapath id %q is not 16 hexadecimal digits", b)
	}
	*d = DatapathID(v)
	return nil
}

// Port is a container's attachment to a network.
type Port struct {
	UID          string         `json:"uid"`    // random; Interface derives from it
	Number       uint32         `json:"number"` // reg1 and reg2 of its frames, its slice's object
	MAC          MAC            `json:"mac"`
	Addresses    []netip.Prefix `json:"addresses"` // with the subnet's length
	AllowedPairs []AddressPair  `json:"allowedPairs,omitempty"`
	Interface    string         `json:"interface"` // on the host's side; at most 15 characters
	ContainerID  string         `json:"containerID,omitempty"`
	Runtime      string         `json:"runtime,omitempty"`
	Labels       Labels         `json:"labels,omitempty"`
	Limits       Limits         `json:"limits,omitzero"`
}

// AddressPair is one more address, or range, that a port may speak with.
type AddressPair struct {
	MAC    MAC          `json:"mac,omitzero"` // zero: the port's own
	Prefix netip.Prefix `json:"prefix"`
}

// Gateway says through which host a tenant's egress leaves now.
type Gateway struct {
	Active   string   `json:"active"`
	Draining []string `json:"draining,omitempty"`
	Epoch    uint64   `json:"epoch"`
	Why      string   `json:"why,omitempty"`
}

// LiveHost exists while a host's agent holds its lease.
type LiveHost struct {
	Incarnation string    `json:"incarnation"`
	Version     string    `json:"version,omitempty"`
	Since       time.Time `json:"since"`
}

// LiveController exists while a controller holds its lease. Whoever writes it last has the
// name: an older incarnation that still runs ends.
type LiveController struct {
	Incarnation string    `json:"incarnation"` // random for each start
	Machine     string    `json:"machine,omitempty"`
	OpenFlow    string    `json:"openflow"` // where switches dial in
	API         string    `json:"api"`
	Since       time.Time `json:"since"`
}

// Master says which controller programs a host's switch.
type Master struct {
	Controller string `json:"controller"`
	Generation uint64 `json:"generation"` // OpenFlow generation id (OpenFlow 1.3, 6.3.6)
}

// StatusController is a controller's floor: each host that it masters and that has no
// StatusHost of its own is realized at least at Floor.
type StatusController struct {
	Floor    Revision `json:"floor"`
	Problems Problems `json:"problems,omitempty"`
	// Unknown lists datapath ids that dialled in and belong to no host.
	Unknown []DatapathID `json:"unknown,omitempty"`
}

// HostState says why a host is not covered by its controller's floor.
type HostState string

// States of a host. A host without exception is HostRealized.
const (
	HostRealized HostState = "realized"
	HostBehind   HostState = "behind"  // connected, catching up
	HostDown     HostState = "down"    // its switch is not connected
	HostMissing  HostState = "missing" // realized but for ports whose interface is not there
	HostRefused  HostState = "refused" // realized but for what its switch refused, or ports that cannot be programmed
)

// StatusHost is the exception of one host; it is absent when all is well.
type StatusHost struct {
	State    HostState `json:"state"`
	Realized Revision  `json:"realized"`
	Missing  []string  `json:"missing,omitempty"`  // keys of ports whose interface the switch lacks
	Problems Problems  `json:"problems,omitempty"` // of ports, networks and tenants that are not programmed whole, or of all on the host
}

// Problem is what is wrong with one object; the rest still works.
type Problem struct {
	Key    Key    `json:"-"`      // of the object; zero where it is none of the store's, and in what was read from etcd
	Object string `json:"object"` // the object as the CLI shows it: its key without Prefix, or words
	Text   string `json:"text"`   // what is wrong and what to do
}

// ProblemOf is a problem of the object under a key.
func ProblemOf(key Key, format string, args ...any) Problem {
	return Problem{Key: key, Object: key.Short(), Text: fmt.Sprintf(format, args...)}
}

// Problems are the problems of several objects.
type Problems []Problem

// Told are the problems as people are told them: sorted, and each once, whoever found it.
func (list Problems) Told() Problems {
	list = slices.Clone(list)
	slices.SortFunc(list, compareProblems)
	return slices.CompactFunc(list, func(a, b Problem) bool { return compareProblems(a, b) == 0 })
}

func compareProblems(a, b Problem) int {
	return cmp.Or(strings.Compare(a.Object, b.Object), strings.Compare(a.Text, b.Text))
}

// StatusCounters is a checkpoint of a host's accounting, so that counters never go back.
type StatusCounters struct {
	Counters []Counter `json:"counters"`
}

// Counter is one accounting sum: a tenant's traffic in one direction and scope, or its
// drops for one reason. The total is what flows counted that are gone, plus what the
// installed flow counted when it was last read.
type Counter struct {
	Tenant      uint32 `json:"tenant"` // number; 0: none could be told
	Direction   string `json:"direction,omitempty"`
	Scope       string `json:"scope,omitempty"`
	Reason      string `json:"reason,omitempty"`
	Packets     uint64 `json:"packets,omitempty"`
	Bytes       uint64 `json:"bytes,omitempty"`
	LastPackets uint64 `json:"lastPackets,omitempty"`
	LastBytes   uint64 `json:"lastBytes,omitempty"`
}

// Alloc marks a name, number, segment or address as taken. A freed number stays as a
// tombstone until every host has forgotten it.
type Alloc struct {
	Owner string `json:"owner"`
	Freed bool   `json:"freed,omitempty"`
}

// Presence is derived: how many ports of a network a host has.
type Presence struct{ Ports int }

// Kind methods tie each type to its place in etcd.
func (*Tenant) Kind() Kind           { return KindTenant }
func (*Network) Kind() Kind          { return KindNetwork }
func (*Host) Kind() Kind             { return KindHost }
func (*Port) Kind() Kind             { return KindPort }
func (*Gateway) Kind() Kind          { return KindGateway }
func (*LiveHost) Kind() Kind         { return KindLiveHost }
func (*LiveController) Kind() Kind   { return KindLiveController }
func (*Master) Kind() Kind           { return KindMaster }
func (*StatusController) Kind() Kind { return KindStatusController }
func (*StatusHost) Kind() Kind       { return KindStatusHost }
func (*StatusCounters) Kind() Kind   { return KindStatusCounters }
func (*Alloc) Kind() Kind            { return KindAlloc }
func (*Presence) Kind() Kind         { return KindPresence }

// newObject is an empty object of a kind, or nil.
func newObject(kind Kind) Object {
	switch kind {
	case KindTenant:
		return &Tenant{}
	case KindNetwork:
		return &Network{}
	case KindHost:
		return &Host{}
	case KindPort:
		return &Port{}
	case KindGateway:
		return &Gateway{}
	case KindLiveHost:
		return &LiveHost{}
	case KindLiveController:
		return &LiveController{}
	case KindMaster:
		return &Master{}
	case KindStatusController:
		return &StatusController{}
	case KindStatusHost:
		return &StatusHost{}
	case KindStatusCounters:
		return &StatusCounters{}
	case KindAlloc:
		return &Alloc{}
	}
	return nil
}

// Encode is the JSON that etcd holds for an object.
func Encode(o Object) ([]byte, error) {
	b, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", o.Kind(), err)
	}
	return b, nil
}

// Decode reads the object that etcd holds under key. Fields that it does not know are
// passed over: a newer writer may have set them.
func Decode(key Key, value []byte) (Object, error) {
	o := newObject(key.Kind)
	if o == nil {
		return nil, fmt.Errorf("key %s: no object of kind %q", key, key.Kind)
	}
	if err := json.Unmarshal(value, o); err != nil {
		return nil, fmt.Errorf("decode %s: %w", key, err)
	}
	if bytes.Equal(bytes.TrimSpace(value), []byte("null")) {
		return nil, fmt.Errorf("decode %s: null is no object", key)
	}
	return o, nil
}
