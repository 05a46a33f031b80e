// Package proof proves, as long as a switch is connected, that the flows that it holds keep tenants apart.
//
// In the loop it stands behind the session: after each commit it reads the slices that changed, and after a change by
// somebody else, or once an interval, all that the switch holds, and hands that to package flows/prove, which never
// compiles. How it came out is kept by the host, from where status, problems and metrics show it. watch.go says when;
// prover.go reads and proves; lane.go keeps it within its share of the time.
//
// It must never hold up programming: it holds the picture as long as a proof takes, which is less than to compile
// the same flows, works on one switch at a time, and takes no more than a part of one processor. It must never write to a switch: what
// breaks a rule the audit mends, as drift. And what it could not read it must never call proved.
package proof
