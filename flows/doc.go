// Package flows compiles the store's State into the flows of every host's bridge.
//
// In the loop it stands between store and datapath: State.Apply says what changed,
// Affected which slices of which hosts that touches, Compile what such a slice holds
// now, and Comparison what must be sent. Desired and Compare do the same for a whole host at
// one time, for people who ask.
//
// Each kind of slice is a section in a file of its own, listed in section.go. Tables, in
// pipeline.go, is the contract of every table that a flow may stand in: tests hold all flows
// that they compile against it, the product does not.
//
// It is pure, and must stay so: no context, clock, logger or socket enters here, and
// nothing is remembered between two calls. The same State and Switch always give the
// same flows, which is what lets tests, audits and `sluice flows --diff` trust the answer.
package flows
