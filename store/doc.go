// Package store is the vocabulary of Sluice: the objects that etcd holds, the keys that
// they live under, and State, the pure picture of all of them at one revision.
//
// In the loop it stands first: store/etcd reads batches of events, State.Apply turns
// each into changes, and package flows turns changes into flows.
//
// It must never do I/O: no context, clock, logger or socket enters here. That is what
// lets property tests and the controller share one State.
package store
