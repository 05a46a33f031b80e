// Package session is one switch's life with this controller: who is it, are we its master,
// program it until it goes.
//
// In the loop it is the room where flows reach a switch. Read it in this order:
//
//   - server.go  accepts a switch, finds its host, and lets one session a host run
//   - session.go alternates between following another master and being the master
//   - claim.go   decides mastership, in etcd by compare-and-swap and on the switch by role;
//     lastknown.go goes on by the last claim while etcd cannot be asked, and unreached.go gives up
//     hosts that this controller does not reach
//   - unknown.go lists switches that belong to no host
//   - plan.go    is what a round of programming wants: pure, from the state and the marks
//   - program.go reads what the switch holds, and commits the difference as one bundle
//   - audit.go   looks now and then whether a switch still holds what it was brought to;
//     what drifted it counts and mends; schedule.go says when
//   - turn.go    bounds how many hosts' flows are in memory at one time
//
// It must never write to a switch that has not accepted it as master, and one session's error
// must never stop another. When etcd is away a master goes on with what the picture shows.
package session
