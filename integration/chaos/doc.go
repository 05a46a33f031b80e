// Package chaos breaks a lab on purpose and at random, and checks meanwhile what must hold
// whatever breaks:
//
//   - no frame of a tenant is seen by a container of another one;
//   - what was acknowledged is in etcd until its removal was asked for, and gone once that was
//     acknowledged;
//   - an attach that succeeded has its flows, and its first packet arrives;
//   - pairs of containers that no fault touches lose no packet;
//   - what broke is mended in a stated time, and at the end every switch holds exactly what is
//     compiled anew, and nothing is left over.
//
// A run is: a world of containers that talk all the time (world.go, traffic.go), a workload of
// random requests (workload.go), breakers that begin and end faults (fault.go, breaker.go), and
// judges that look at all of it (judge.go, ledger.go, finish.go). One seed gives the same
// choices again, though not the same interleaving: the parts of a lab are real processes.
//
// A violation ends the run. It must never be explained away by a fault that did not touch the
// pair: which hosts' traffic a fault may harm is said where the fault is defined.
package chaos
