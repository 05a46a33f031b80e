package store

import (
	"iter"
	"net/netip"
	"time"
)

// Kinds of the keys that vanish with their writer's lease.
const (
	KindLiveHost       Kind = "live/hosts"       // {host}
	KindLiveController Kind = "live/controllers" // {name}
)

// LiveHostKey is the lease key of a host.
func LiveHostKey(host string) Key { return Key{Kind: KindLiveHost, Host: host} }

// LiveControllerKey is the lease key of a controller.
func LiveControllerKey(name string) Key { return Key{Kind: KindLiveController, Name: name} }

// LiveHost exists while a host's agent holds its lease.
type LiveHost struct {
	Incarnation string    `json:"incarnation"`
	Since       time.Time `json:"since"`
	Program
}

// LiveController exists while a controller holds its lease. Whoever writes it last has the
// name: an older incarnation that still runs ends.
type LiveController struct {
	Incarnation string `json:"incarnation"` // random for each start
	Machine     string `json:"machine,omitempty"`
	OpenFlow    string `json:"openflow"` // where switches dial in
	API         string `json:"api"`
	Signs       bool   `json:"signs,omitempty"` // it holds the authority's key
	// Addresses are those of the controller's machine: every gateway host closes them to tenants.
	Addresses []netip.Addr `json:"addresses,omitempty"`
	// Etcd are the machines of etcd's members as the controller was told them, by name or address: they
	// are closed as well, since a host may know some of them only.
	Etcd  []string  `json:"etcd,omitempty"`
	Since time.Time `json:"since"`
	Program
}

// Kind is KindLiveHost.
func (*LiveHost) Kind() Kind { return KindLiveHost }

// Kind is KindLiveController.
func (*LiveController) Kind() Kind { return KindLiveController }

var liveHostKind = &description[string, LiveHost, *LiveHost]{
	facts: facts{
		label:  "live host",
		parts:  []part{partHost},
		writer: "the host's agent, under its lease", reader: "controllers, agents",
		hostReads: allObjects, hostWrites: ownObjects,
		refers: []reference{{to: KindHost, onDelete: follows}},
	},
	table: func(s *State) *table[string, LiveHost] { return &s.liveHosts },
	id:    func(k Key) string { return k.Host },
}

var liveControllerKind = &description[string, LiveController, *LiveController]{
	facts: facts{
		label:  "live controller",
		parts:  []part{partController},
		writer: "the controller, under its lease", reader: "controllers, agents",
		hostReads: allObjects,
	},
	table: func(s *State) *table[string, LiveController] { return &s.controllers },
	id:    func(k Key) string { return k.Name },
}

// LiveHost is a host's lease key, or nil while its agent is away.
func (s *State) LiveHost(host string) *Item[LiveHost] { return s.liveHosts.items[host] }

// LiveController is the live key of a controller, or nil.
func (s *State) LiveController(name string) *Item[LiveController] { return s.controllers.items[name] }

// LiveControllers walks the controllers that hold a lease, sorted by name.
func (s *State) LiveControllers() iter.Seq[*Item[LiveController]] { return sorted(&s.controllers) }
