// Package datapath holds sessions with switches. A switch dials in and speaks OpenFlow 1.3;
// its Switch carries what the loop needs: roles, ports, dumps, bundles and events.
//
// In the loop (watch, apply, affected slices, read, compile, diff, commit, realized) it is
// "read" and "commit": the caller decides what to write, this package delivers it and says
// what the switch made of it. An error names the flow that was refused.
//
// It knows no tenant and no pipeline and never decides what a switch should hold. It must
// never write before it is told to, never let one switch delay another, never hold all the
// flows of a switch in memory, and never trust what a peer sends: a malformed message, a
// stall or a panic ends that one session with a logged reason and nothing else.
//
// A session has two goroutines, a reader and a writer, beside the one that runs the
// caller's function. The reader never waits for events to be taken: they are bounded, and
// what overflowed becomes one Overflow event that asks for a fresh read. The writer's queue
// is bounded in bytes: who adds to a full queue waits, until its context ends.
package datapath
