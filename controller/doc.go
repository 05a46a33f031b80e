// Package controller is the loop between etcd and the switches:
//
//	watch -> State.Apply -> flows.Affected -> marks per host -> compile, read, diff, commit -> realized
//
// Read it in that order:
//
//   - watch.go     takes whole revisions from etcd, applies them, marks the slices touched
//   - host.go      holds one host's marks: they coalesce while its switch is slow
//   - session.go   is one switch's life: who is it, are we its master, program until it goes
//   - name.go      keeps the live key, and ends when a later controller took the name
//   - claim.go     decides mastership, in etcd by compare-and-swap and on the switch by role
//   - program.go   turns marks into one bundle and learns what the switch holds
//   - audit.go     looks now and then whether a switch still holds what it was brought to;
//     what drifted it counts and mends
//   - turn.go      bounds how many hosts' flows are in memory at one time
//   - realized.go  says how far each host is, and writes floors and exceptions to etcd
//   - counters.go  reads the accounting tables and keeps sums that never go back
//   - series.go    begins and ends a host's own metrics with the host
//   - placement.go chooses gateway hosts, tidy.go removes what nobody needs any more;
//     leader.go runs both on one controller at a time
//   - view.go      is what the API and the command line may see
//
// The controller never runs a command on a host, never writes an object that an agent or a
// user owns, and never writes to a switch that has not accepted it as master. One host's
// error is shown on that host and stops no other. When etcd is away it goes on mending the
// switches from the last state that it knows.
package controller
