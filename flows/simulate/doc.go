// Package simulate runs flow tables in memory: a Packet in, the ports that it leaves by
// and the flows that it met out. Bridge is one switch; Cluster joins several by their
// tunnels, so that a test can follow a frame from container to container.
//
// It follows Open vSwitch where OpenFlow leaves a choice, down to its userspace connection
// tracker; its tests run the same tables and frames through Open vSwitch itself. A flow that
// it does not model it never skips: NewBridge refuses it, and where Load took it, as what a
// switch really holds, a packet that may meet it ends there with an error that names it.
//
// It serves tests, `sluice trace` (package flows/trace) and counterexamples (package flows/witness). Nothing in the loop of the controller
// depends on it. It is pure, keeps no clock (connections never expire) and no rates (meters
// let all pass), and is not safe for concurrent use.
package simulate
