package store

// KindEmptied is {host}.
const KindEmptied Kind = "emptied"

// EmptiedKey is the key of what a host has drained.
func EmptiedKey(host string) Key { return Key{Kind: KindEmptied, Host: host} }

// Emptied says for which tenants a host that drains has no connection any more. Its agent tells that once no
// host sends new ones there, and takes it back when the host does not drain for the tenant any more.
type Emptied struct {
	Tenants map[string]uint64 `json:"tenants,omitempty"` // the epoch of the tenant's gateway that it is about
}

// MaxEmptied bounds the tenants in one Emptied, so that the key stays small: the others are told later.
const MaxEmptied = 4096

// Kind is KindEmptied.
func (*Emptied) Kind() Kind { return KindEmptied }

var emptiedKind = &description[string, Emptied, *Emptied]{
	facts: facts{
		label:  "word that a host has drained",
		parts:  []part{partHost},
		writer: "the host's agent", reader: "the leader of the controllers, the host's agent",
		hostReads: ownObjects, hostWrites: ownObjects,
		refers: []reference{{to: KindHost, onDelete: follows}},
	},
	table: func(s *State) *table[string, Emptied] { return &s.emptied },
	id:    func(k Key) string { return k.Host },
}

// Emptied reports whether a host told that it has no connection of a tenant any more, in an epoch of its gateway.
func (s *State) Emptied(host, tenant string, epoch uint64) bool {
	said := s.emptied.items[host]
	return said != nil && epoch != 0 && said.Value.Tenants[tenant] == epoch
}
