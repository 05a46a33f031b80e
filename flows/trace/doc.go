// Package trace follows one packet through the tables of a cluster's switches, host by host and table
// by table, and says in words what decided.
//
//	Ask: names to a packet -> Run: the packet through tables -> Answer: what became of it, in words
//
// Ask and Answer read the State, Run does not: whoever holds a lock on the State need not hold it
// while tables are read from switches. Run asks for the tables of a host when the first frame enters
// it. A sender's packet is preceded by what its kernel would send: the question for the next hop's
// MAC, and for an established connection the packets that open it. They walk the same tables.
//
// It must never guess: a host whose tables are not known, or a flow that package simulate does
// not model, ends the walk with a sentence that says so.
//
// It is pure, as package flows is. Nothing in the loop of the controller depends on it.
package trace
