package store

// KindMaster is {host}.
const KindMaster Kind = "masters"

// MasterKey is the key that says which controller programs a host.
func MasterKey(host string) Key { return Key{Kind: KindMaster, Host: host} }

// Master says which controller programs a host's switch.
type Master struct {
	Controller string `json:"controller"`
	Generation uint64 `json:"generation"` // OpenFlow generation id (OpenFlow 1.3, 6.3.6)
	// Unreached says that this controller has had no session with the host's switch for some
	// seconds: another one that has a session may claim the host.
	Unreached bool `json:"unreached,omitempty"`
}

// Kind is KindMaster.
func (*Master) Kind() Kind { return KindMaster }

var masterKind = &description[string, Master, *Master]{
	facts: facts{
		label:  "master",
		parts:  []part{partHost},
		writer: "the controller that claims the host, under its lease", reader: "controllers, agents that wait for a revision",
		hostReads: allObjects,
		refers:    []reference{{to: KindHost, onDelete: follows}},
	},
	table: func(s *State) *table[string, Master] { return &s.masters },
	id:    func(k Key) string { return k.Host },
}

// Master is who programs a host, or nil.
func (s *State) Master(host string) *Item[Master] { return s.masters.items[host] }
