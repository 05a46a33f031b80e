// Package controller is the loop between etcd and the switches:
//
//	watch -> State.Apply -> flows.Affected -> marks per host -> compile, read, diff, commit -> realized
//
// Each part of it is a room: a package whose fields nobody else locks. A room imports only rooms
// that are named before it. Read them in this order:
//
//   - signal   wakes those who wait
//   - name     keeps this controller's name in etcd, and ends it when a later one took the name
//   - cluster  is the picture: takes whole revisions, applies them, and tells its observers
//   - account  keeps what accounting flows counted, in sums that never go back
//   - host     keeps the slices of each host that are marked as out of date, and how it stands;
//     its Fleet observes the picture and marks
//   - report   says how far each host is, and writes floors and exceptions to etcd
//   - proof    proves that what each switch holds keeps tenants apart, without asking the compiler
//   - dump     keeps what switches held when they were last read whole, for people
//   - session  is one switch's life: who is it, are we its master, program it until it goes
//   - changes  keeps the last changes, for those who watch by the API
//   - events   keeps what happened, for operators, and looks out for it
//   - history  is the cluster as it was at a revision that is over, for people
//   - enrol    signs for hosts that join, renews certificates, and keeps etcd's users
//   - balance  decides which gateways would move so that hosts carry alike: a pure function
//   - traffic  averages what tenants send and get through their gateways, and asks balance
//   - lead     chooses gateway hosts and removes what nobody needs any more, on one controller at a time
//   - usage    knows what tenants use of their limits, as hosts' agents told etcd
//   - access   tells who asks the API, and whether they may
//   - client   speaks to the API of a controller: its types, and no server
//   - api      is what people and the command line see and ask for
//   - web      is what people see in a browser, of what the API answers to them
//
// This package wires them. One batch of the watch goes through Controller.take: name.Check,
// then cluster.Picture.Apply, which tells, under the picture's lock, host.Fleet (marks),
// session.Server (hosts that went), lead.Leader (tenants in doubt), enrol.Office (who is enrolled),
// report.Reporter (what attaches wait for), proof.Prover (what flows are proved by), changes.Window and events.Lookout (what happened). The Fleet wakes the sessions of marked hosts;
// session.realize compiles under the picture's lock, commits, confirms, and pokes the Reporter.
//
// The order of locks is the picture's, then a room's own; no room calls another while it holds
// its own, but for a Host, which calls none.
//
// The controller never runs a command on a host and never writes to a switch that has not
// accepted it as master. Of what agents and users write it removes only the ports of a host that
// was deleted. One host's error is shown on that host and stops no other. When etcd is away it
// goes on mending the switches from the last state that it knows.
package controller
