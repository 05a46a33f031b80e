package store

import "strings"

// KindAlloc is {directory}/{scope...}/{value}.
const KindAlloc Kind = "alloc"

// AllocKey is the key of a taken name, number, VLAN id, MAC or address: parts joined by "/".
func AllocKey(parts ...string) Key { return Key{Kind: KindAlloc, Name: strings.Join(parts, "/")} }

// Alloc marks a name, number, segment or address as taken. A freed number stays as a
// tombstone until every host has forgotten it.
type Alloc struct {
	Owner string `json:"owner"`
	Freed bool   `json:"freed,omitempty"`
}

// Kind is KindAlloc.
func (*Alloc) Kind() Kind { return KindAlloc }

var allocKind = &description[Key, Alloc, *Alloc]{facts: facts{
	label:  "taken value",
	parts:  []part{partRest},
	writer: "who writes the owner, in the same transaction; the leader deletes tombstones", reader: "who writes an object",
	hostReads: allObjects, hostWrites: ownTaken, // an address is taken under no host's name
}}
