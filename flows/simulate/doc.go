// Package simulate runs flow tables in memory: a Packet in, the ports that it leaves by
// and the flows that it met out. Bridge is one switch; Cluster joins several by their
// tunnels, so that a test can follow a frame from container to container.
//
// It follows Open vSwitch where OpenFlow leaves a choice, down to its userspace connection
// tracker; its tests run the same tables and frames through Open vSwitch itself. What it
// does not model it refuses when flows are loaded: a simulator that skips an action
// would prove the wrong thing.
//
// It is pure, keeps no clock (connections never expire), and is not safe for concurrent use.
// Nothing in the loop of the controller depends on it: it serves tests.
package simulate
