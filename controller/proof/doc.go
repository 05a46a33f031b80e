// Package proof proves, as long as a switch is connected, that the flows that it holds keep tenants apart.
//
// In the loop it stands behind the session: after each commit, after each change by somebody else, and
// once an interval it reads what the switch holds and hands it to package flows/prove, which never compiles. How
// that came out is kept by the host, from where status, problems and metrics show it.
//
// It must never hold up programming: it has a picture of the cluster of its own (see replica), works on few
// switches at a time, and takes no more than a part of one processor. It must never write to a switch: what
// breaks a rule the audit mends, as drift. And what it could not read it must never call proved.
package proof
