// Package store is the vocabulary of Sluice: the objects that etcd holds, the keys that
// they live under, and State, the pure picture of all of them at one revision.
//
// Each kind of object is described once, in a file of its own: the parts of its key, its unique
// values, what it belongs to, who writes and who reads it (see description). All else that is
// known of a kind follows from that. What a request would write is decided here too: the Propose
// functions take a State and the request, and return objects, values to draw and what they
// presume, or the refusal.
//
// In the loop it stands first: store/etcd reads batches of events, State.Apply turns
// each into changes, and package flows turns changes into flows.
//
// It must never do I/O: no context, clock, logger or socket enters here. That is what
// lets property tests and the controller share one State.
package store
