package store

// Kinds of what controllers report. Watch passes these keys over: readers list them.
const (
	KindStatusHost       Kind = "status/hosts"       // {host}
	KindStatusController Kind = "status/controllers" // {name}
	KindStatusCounters   Kind = "status/counters"    // {host}
)

// StatusHostKey is the key of a host's exception: it is behind, down, or lacks ports.
func StatusHostKey(host string) Key { return Key{Kind: KindStatusHost, Host: host} }

// StatusControllerKey is the key of a controller's floor.
func StatusControllerKey(name string) Key { return Key{Kind: KindStatusController, Name: name} }

// StatusCountersKey is the key of a host's counter checkpoint.
func StatusCountersKey(host string) Key { return Key{Kind: KindStatusCounters, Host: host} }

// StatusController is a controller's floor: each host that it masters and that has no
// StatusHost of its own is realized at least at Floor.
type StatusController struct {
	Floor    Revision `json:"floor"`
	Problems Problems `json:"problems,omitempty"`
	UnknownSwitches
}

// UnknownSwitches are those that dialled in and belong to no host.
type UnknownSwitches struct {
	Unknown []DatapathID `json:"unknown,omitempty"` // those that came first, sorted
	// UnknownShows says of those of them that showed a certificate whose it is.
	UnknownShows map[DatapathID]string `json:"unknownShows,omitempty"`
	UnknownMore  int                   `json:"unknownMore,omitempty"` // how many are not listed
}

// HostState says why a host is not covered by its controller's floor.
type HostState string

// States of a host. A host without exception is HostRealized.
const (
	HostRealized HostState = "realized"
	HostBehind   HostState = "behind" // connected, catching up
	HostDown     HostState = "down"   // its switch is not connected
	// HostUnreachable is realized, but no frame passes between it and the other hosts: its tunnel port
	// is not there, its VTEP is another's, or its encapsulation differs.
	HostUnreachable HostState = "unreachable"

	HostMissing HostState = "missing" // realized but for ports whose interface is not there
	HostRefused HostState = "refused" // realized but for what its switch refused, or what is left out: a port, its network, its tenant
	// HostLastKnown: programmed by what its controller knew when etcd went away; nobody vouches for it.
	HostLastKnown HostState = "last-known"
)

// StatusHost is the exception of one host; it is absent when all is well.
type StatusHost struct {
	State    HostState `json:"state"`
	Realized Revision  `json:"realized"`
	Missing  []string  `json:"missing,omitempty"`  // keys of ports whose interface the switch lacks
	Problems Problems  `json:"problems,omitempty"` // of ports, networks, tenants or the host, each with whom it leaves out; empty: ports
}

// StatusCounters is a checkpoint of a host's accounting, so that counters never go back. It stays when
// its host is deleted: what the host counted is part of what its tenants sent.
type StatusCounters struct {
	Ledger   string    `json:"ledger,omitempty"` // the random name of who wrote it
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

// Kind is KindStatusHost.
func (*StatusHost) Kind() Kind { return KindStatusHost }

// Kind is KindStatusController.
func (*StatusController) Kind() Kind { return KindStatusController }

// Kind is KindStatusCounters.
func (*StatusCounters) Kind() Kind { return KindStatusCounters }

// FenceHost is what a write to status/ about a host presumes: the registration and the claim that the
// state has. Where it has neither, that there is neither, so that whoever registers or claims the
// host meanwhile is not harmed.
func (s *State) FenceHost(host string) []Presumption {
	fence := []Presumption{
		{Condition: Absent, Path: HostKey(host).String(), Refusal: ErrConflict},
		{Condition: Absent, Path: MasterKey(host).String(), Refusal: ErrConflict},
	}
	if h := s.Host(host); h != nil {
		fence[0].Condition, fence[0].Revision = CreatedAt, h.Created
	}
	if m := s.Master(host); m != nil {
		fence[1].Condition, fence[1].Revision = Unchanged, m.Modified
	}
	return fence
}

// FenceController is what a write to status/ of a controller presumes: that its name is its own.
func (s *State) FenceController(name string) []Presumption {
	fence := Presumption{Condition: Absent, Path: LiveControllerKey(name).String(), Refusal: ErrConflict}
	if c := s.LiveController(name); c != nil {
		fence.Condition, fence.Revision = Unchanged, c.Modified
	}
	return []Presumption{fence}
}

var statusHostKind = &description[string, StatusHost, *StatusHost]{facts: facts{
	label:  "exception of a host",
	parts:  []part{partHost},
	writer: "the host's master", reader: "controllers, agents that wait for a revision",
	hostReads: allObjects,
	refers:    []reference{{to: KindHost, onDelete: follows}},
}}

var statusControllerKind = &description[string, StatusController, *StatusController]{facts: facts{
	label:  "floor of a controller",
	parts:  []part{partController},
	writer: "the controller", reader: "controllers, agents that wait for a revision",
	hostReads: allObjects,
}}

var statusCountersKind = &description[string, StatusCounters, *StatusCounters]{facts: facts{
	label:  "counters of a host",
	parts:  []part{partHost},
	writer: "the host's master", reader: "the host's next master, the leader",
}}
