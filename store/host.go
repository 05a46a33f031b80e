package store

import (
	"cmp"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// KindHost is {host}.
const KindHost Kind = "hosts"

// HostKey is the key of a host.
func HostKey(host string) Key { return Key{Kind: KindHost, Host: host} }

// Host is a machine with an Open vSwitch bridge and an agent.
type Host struct {
	Incarnation string       `json:"incarnation"` // random for each agent's first start
	DatapathID  DatapathID   `json:"datapathID"`
	VTEPs       []netip.Addr `json:"vteps"`
	// Addresses are all that the host's kernel answers to from outside, MaxHostAddresses at
	// most: every gateway host closes them to tenants.
	Addresses []netip.Addr `json:"addresses,omitempty"`
	Uplink    string       `json:"uplink,omitempty"` // interface to the outside
	// Subnets are those of a gateway host's uplinks, MaxHostSubnets at most: floating addresses in them can be there.
	Subnets   []netip.Prefix `json:"subnets,omitempty"`
	Gateway   bool           `json:"gateway"`             // may be a gateway host
	NoGateway string         `json:"noGateway,omitempty"` // why it is none, where its operator wants it to be one
	NotReady  string         `json:"notReady,omitempty"`  // why it takes no tenants now, though it is a gateway host
	Cut       bool           `json:"cut,omitempty"`       // its uplink leads nowhere: its agent's pings of an address outside have no answer
	// ProbeOutside is the address outside that the agent of a gateway host pings by its uplink; none: nobody looks whether that leads anywhere.
	ProbeOutside netip.Addr `json:"probeOutside,omitzero"`
	Switch       string     `json:"switch,omitempty"` // which process its switch is: its probes wait until that holds its flows
	Weight       int        `json:"weight,omitempty"` // share of tenants by `auto`; 0 counts as 1
	Encap        string     `json:"encap"`            // vxlan, geneve or gre
	UnderlayMTU  int        `json:"underlayMTU"`
	// Trunk is a physical interface in the host's bridge, by which frames of VLAN networks come tagged; empty: there is none.
	Trunk string `json:"trunk,omitempty"`
	// TrunkReady says that the host's switch takes what comes by its trunk: from then on others may send there.
	TrunkReady bool `json:"trunkReady,omitempty"`
	// NoTrunk says why the trunk that its operator named is not ready: until it is, VLAN networks go by tunnels.
	NoTrunk string `json:"noTrunk,omitempty"`
	// Infrastructure is what this host keeps closed to tenants' egress besides the addresses of
	// all hosts and controllers: its underlay, the controllers that its switch dials, and what
	// its operator named.
	Infrastructure []netip.Prefix `json:"infrastructure,omitempty"`
	// Listens are the ports that programs of the host listen on for others, MaxListens at most: they are not published.
	Listens []Endpoint `json:"listens,omitempty"`
	// Entry is where the host's entry takes requests for what tenants publish by routes; none: it has no entry.
	Entry string `json:"entry,omitempty"`
	// Relay is the port of the tunnel address at which the agent of a gateway host relays for the entries of others; 0: it does not.
	Relay uint16 `json:"relay,omitempty"`
	// Certified is when the certificate that the agent has began to be valid: other agents do not believe older ones of the host.
	Certified time.Time `json:"certified,omitzero"`
	Labels    Labels    `json:"labels,omitempty"`
}

// MaxListens bounds what one host tells of its own programs.
const MaxListens = 256

// MaxHostAddresses bounds the addresses that one host tells of itself, so that it cannot fill
// the other hosts' tables.
const MaxHostAddresses = 256

// MaxHostSubnets bounds what one host tells of its uplinks.
const MaxHostSubnets = 64

// VTEP is the tunnel address that flows use, or the zero address.
func (h *Host) VTEP() netip.Addr {
	if len(h.VTEPs) == 0 {
		return netip.Addr{}
	}
	return h.VTEPs[0]
}

// WhyNoGateway says why a host that is no gateway host is none, and what to do.
func (h *Host) WhyNoGateway() string {
	return cmp.Or(h.NoGateway, "its agent runs without --gateway: start it with that")
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

// Kind is KindHost.
func (*Host) Kind() Kind { return KindHost }

var hostKind = &description[string, Host, *Host]{
	facts: facts{
		label:  "host",
		parts:  []part{partHost},
		writer: "the host's agent; the API deletes it", reader: "controllers, agents",
		hostReads: allObjects, hostWrites: ownObjects,
	},
	table:   func(s *State) *table[string, Host] { return &s.hosts.table },
	id:      func(k Key) string { return k.Host },
	uniques: []uniqueOf[Host]{&hostDatapath, &hostVTEP},
	index: func(a *application, h *Item[Host], add bool) {
		a.hosts.hash(h, add)
		a.hosts.has(h, add)
	},
}

var hostDatapath = unique[DatapathID, *Item[Host], Host]{
	name: "datapath id", dir: "datapath-ids",
	value: func(h *Item[Host], _ int) (DatapathID, bool) {
		return h.Value.DatapathID, h.Value.DatapathID != 0 // 0 is no switch's
	},
	holders: func(s *State) *holders[DatapathID, *Item[Host]] { return &s.hosts.datapaths },
	handle:  itself[Host](),
}

var hostVTEP = unique[netip.Addr, *Item[Host], Host]{
	name: "VTEP", dir: "vteps",
	value: func(h *Item[Host], n int) (netip.Addr, bool) {
		a := h.Value.VTEPs[n]
		return a.Unmap(), a.IsValid() && !a.IsUnspecified() // else it is no tunnel address
	},
	count:   func(h *Item[Host]) int { return len(h.Value.VTEPs) },
	holders: func(s *State) *holders[netip.Addr, *Item[Host]] { return &s.hosts.vteps },
	handle:  itself[Host](),
}

// hosts is what State keeps of hosts.
type hosts struct {
	table[string, Host]
	datapaths holders[DatapathID, *Item[Host]]
	vteps     holders[netip.Addr, *Item[Host]]
	byHash    map[uint32][]*Item[Host] // by HostHash, sorted by name
	having    sets[netip.Addr, string] // address -> hosts that have it themselves
}

// hash brings a host into the list of its HostHash, or out of it. A list that was handed out
// stays as it is.
func (hs *hosts) hash(h *Item[Host], add bool) {
	if hs.byHash == nil {
		hs.byHash = map[uint32][]*Item[Host]{}
	}
	hash := HostHash(h.Key.Host)
	others := slices.DeleteFunc(slices.Clone(hs.byHash[hash]), func(o *Item[Host]) bool { return o.Key == h.Key })
	if add {
		others = append(others, h)
		slices.SortFunc(others, func(x, y *Item[Host]) int { return strings.Compare(x.Key.Host, y.Key.Host) })
	}
	if hs.byHash[hash] = others; len(others) == 0 {
		delete(hs.byHash, hash)
	}
}

// Host is the host of that name, or nil.
func (s *State) Host(name string) *Item[Host] { return s.hosts.items[name] }

// Hosts walks all hosts, sorted by name.
func (s *State) Hosts() iter.Seq[*Item[Host]] { return sorted(&s.hosts.table) }

// HostByDatapath is the host with that datapath id, or nil.
func (s *State) HostByDatapath(id DatapathID) *Item[Host] { return hostDatapath.holder(s, id) }

// HostByVTEP is the host that holds a tunnel address, or nil.
func (s *State) HostByVTEP(a netip.Addr) *Item[Host] { return hostVTEP.holder(s, a.Unmap()) }

// HostsByHash are the hosts whose names have that HostHash, sorted by name. The caller must
// not change the slice.
func (s *State) HostsByHash(hash uint32) []*Item[Host] { return s.hosts.byHash[hash] }

// HostsGone are hosts that have ports though they are not registered, sorted: they were
// deleted and their ports are not cleared yet.
func (s *State) HostsGone() []string {
	var gone []string
	for host := range s.ports.on.sets {
		if s.hosts.items[host] == nil {
			gone = append(gone, host)
		}
	}
	slices.Sort(gone)
	return gone
}

// ContestedHost says why a host cannot be programmed, as ContestedPort does.
func (s *State) ContestedHost(h *Item[Host]) []Problem { return hostKind.contested(s, h) }

// PortsLeft is how many ports a host has, and the create revision of the newest.
func (s *State) PortsLeft(host string) (ports int, newest Revision) {
	for _, n := range s.NetworksOn(host) {
		for _, p := range s.PortsAt(host, n) {
			ports, newest = ports+1, max(newest, p.Created)
		}
	}
	return ports, newest
}
