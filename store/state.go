package store

import (
	"maps"
	"slices"
)

// Batch is everything that happened up to Revision: whole revisions only, in order.
type Batch struct {
	Revision Revision
	Events   []Event
}

// Event is one key's new value; a nil Object says that the key was deleted.
type Event struct {
	Key      Key
	Object   Object
	Created  Revision
	Modified Revision
}

// Change is what an event meant: the object before and after, nil where there was none.
// Both are the same object where nothing about it changed but which values it holds (see
// ContestedPort). A KindPresence change says that a network came to a host or left it.
type Change struct {
	Key           Key
	Before, After Object
	// Anew says that After was created anew, not changed: Before was deleted, and no batch
	// told of it alone.
	Anew bool
}

// kinds lists what etcd holds, each kind once. Keys, objects, State, contested values,
// tombstones and deletes all follow from the descriptions in this list.
var kinds = []described{
	schemaKind, settingsKind, tenantKind, networkKind, hostKind, portKind, gatewayKind, peeringKind, publicationKind, stickyKind, masterKind, liveHostKind, liveControllerKind, tokenKind,
	enrolmentKind, invitationKind, statusHostKind, statusControllerKind, statusCountersKind, happeningKind, usageKind, emptiedKind, drainKind, allocKind, idleKind,
	identityKind, chainKind, stampKind, witnessHostKind, witnessControllerKind, requestKind, wordKind, farewellKind,
}

// State is the picture of the store at one revision, with the indexes that the compiler
// needs. It is not safe for concurrent use: readers and Apply exclude each other outside.
type State struct {
	revision Revision

	schema       table[string, Schema]
	settings     table[string, Settings]
	tenants      tenants
	networks     networks
	hosts        hosts
	ports        ports
	gateways     gateways
	peerings     peerings
	publications publications
	stickies     table[Key, Sticky]
	idle         table[string, Idle]
	masters      table[string, Master]
	liveHosts    table[string, LiveHost]
	controllers  table[string, LiveController]
	tokens       table[string, Token]
	enrolled     table[string, Enrolment]
	invited      table[string, Invitation]
	requests     table[string, Request]
	emptied      table[string, Emptied]
	drains       table[string, Drain]

	former former // what the last batch took away
}

// NewState is the picture of an empty store.
func NewState() *State { return &State{} }

// Revision is the last one applied.
func (s *State) Revision() Revision { return s.revision }

// Counts are the numbers of objects, for metrics and status.
func (s *State) Counts() (tenants, networks, hosts, ports int) {
	return s.tenants.len(), s.networks.len(), s.hosts.len(), s.ports.len()
}

// marked are names that something is true of. The zero value is empty.
type marked struct{ names map[string]struct{} }

// put marks a name, or takes its mark away.
func (m *marked) put(name string, is bool) {
	if !is {
		delete(m.names, name)
		return
	}
	if m.names == nil {
		m.names = map[string]struct{}{}
	}
	m.names[name] = struct{}{}
}

func (m *marked) sorted() []string { return slices.Sorted(maps.Keys(m.names)) }

// sets are values grouped by key. The zero value is empty.
type sets[K, V comparable] struct{ sets map[K]map[V]struct{} }

func (s *sets[K, V]) add(k K, v V) {
	if s.sets == nil {
		s.sets = map[K]map[V]struct{}{}
	}
	if s.sets[k] == nil {
		s.sets[k] = map[V]struct{}{}
	}
	s.sets[k][v] = struct{}{}
}

// put adds a value, or removes it.
func (s *sets[K, V]) put(k K, v V, add bool) {
	if add {
		s.add(k, v)
	} else {
		s.remove(k, v)
	}
}

func (s *sets[K, V]) remove(k K, v V) {
	delete(s.sets[k], v)
	if len(s.sets[k]) == 0 {
		delete(s.sets, k)
	}
}
