// Package flows compiles the store's State into the flows of every host's bridge.
//
// In the loop it stands between store and datapath: State.Apply says what changed,
// Affected which slices of which hosts that touches, Compile what such a slice holds
// now, and Comparison what must be sent. Tables, in pipeline.go, is the contract of every
// table that a flow may stand in.
//
// It is pure, and must stay so: no context, clock, logger or socket enters here, and
// nothing is remembered between two calls. The same State and Switch always give the
// same flows, which is what lets tests, audits and `sluice flows --diff` trust the answer.
package flows
