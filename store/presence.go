package store

// KindPresence is derived by State and never stored: {host}/{tenant}/{network}.
const KindPresence Kind = "presence"

// Presence is derived: how many ports of a network a host has.
type Presence struct{ Ports int }

// Kind is KindPresence.
func (*Presence) Kind() Kind { return KindPresence }

var presenceKind = &description[Key, Presence, *Presence]{facts: facts{
	label:   "presence",
	parts:   []part{partHost, partTenant, partNetwork},
	derived: true,
}}
