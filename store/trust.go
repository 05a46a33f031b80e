package store

import (
	"iter"
	"time"
)

// KindTrust is {host}.
const KindTrust Kind = "trusted"

// TrustKey is the key that says that a host's certificate is believed.
func TrustKey(host string) Key { return Key{Kind: KindTrust, Host: host} }

// Trust exists while a host's certificate is believed. It goes with the host: whoever has the
// certificate of a deleted host is refused, however long that is valid.
type Trust struct {
	// NotBefore refuses older certificates: those that began to be valid earlier. It is set when a
	// host joins anew under its name, so that a certificate that was stolen before is of no use.
	NotBefore time.Time `json:"notBefore,omitzero"`
	By        string    `json:"by,omitempty"` // who said so, for people
	Since     time.Time `json:"since"`
}

// Believes reports whether a certificate is believed that began to be valid at a time. Without
// trust none is.
func (t *Trust) Believes(validFrom time.Time) bool {
	return t != nil && !validFrom.Before(t.NotBefore)
}

// Kind is KindTrust.
func (*Trust) Kind() Kind { return KindTrust }

var trustKind = &description[string, Trust, *Trust]{
	facts: facts{
		label:  "trust in a host",
		parts:  []part{partHost},
		writer: "controllers", reader: "controllers, the embedded etcd",
		refers: []reference{{to: KindHost, onDelete: follows}},
	},
	table: func(s *State) *table[string, Trust] { return &s.trusted },
	id:    func(k Key) string { return k.Host },
}

// Trust is that in a host, or nil where none of its certificates is believed.
func (s *State) Trust(host string) *Item[Trust] { return s.trusted.items[host] }

// Trusted walks the trust in all hosts, sorted by name.
func (s *State) Trusted() iter.Seq[*Item[Trust]] { return sorted(s.trusted.items) }
