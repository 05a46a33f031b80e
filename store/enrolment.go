package store

import (
	"iter"
	"time"
)

// KindEnrolment is {host}.
const KindEnrolment Kind = "enrolled"

// EnrolmentKey is the key that says that a host's certificate is believed.
func EnrolmentKey(host string) Key { return Key{Kind: KindEnrolment, Host: host} }

// Enrolment exists while a host's certificate is believed. It goes with the host: whoever has the
// certificate of a deleted host is refused, however long that is valid.
type Enrolment struct {
	// NotBefore refuses older certificates: those that began to be valid earlier. It is set when a
	// host joins anew under its name, so that a certificate that was stolen before is of no use.
	NotBefore time.Time `json:"notBefore,omitzero"`
	By        string    `json:"by,omitempty"` // who said so, for people
	Since     time.Time `json:"since"`
}

// Believes reports whether a certificate is believed that began to be valid at a time. Without
// enrolment none is.
func (e *Enrolment) Believes(validFrom time.Time) bool {
	return e != nil && !validFrom.Before(e.NotBefore)
}

// Kind is KindEnrolment.
func (*Enrolment) Kind() Kind { return KindEnrolment }

var enrolmentKind = &description[string, Enrolment, *Enrolment]{
	facts: facts{
		label:  "enrolment of a host",
		parts:  []part{partHost},
		writer: "controllers", reader: "controllers, the embedded etcd",
		refers: []reference{{to: KindHost, onDelete: follows}},
	},
	table: func(s *State) *table[string, Enrolment] { return &s.enrolled },
	id:    func(k Key) string { return k.Host },
}

// Enrolment is a host's, or nil where none of its certificates is believed.
func (s *State) Enrolment(host string) *Item[Enrolment] { return s.enrolled.items[host] }

// Enrolments walks those of all hosts, sorted by name.
func (s *State) Enrolments() iter.Seq[*Item[Enrolment]] { return sorted(&s.enrolled) }
