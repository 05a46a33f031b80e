// Package witness searches for counterexamples: concrete frames that a container, the outside or a
// stranger on the underlay can send, and that by the tables of all hosts end where they must not.
//
// Package prove says which flow breaks a rule, for all packets, but it may refuse a flow that no frame
// meets. A counterexample shows the harm: the frames, the hosts, tables and flows that they cross, and
// the law that is broken. Where none is found within the tries that the caller allows, that proves nothing.
//
// The search begins at the flow: it goes on to where frames leave, and back to where they enter, and collects
// what each flow matches and sets. What is left open it fills with what the store knows: MACs, addresses, keys.
// Package simulate alone decides what becomes of such a frame. The laws (see Cluster.Broken) are read from the
// store; nothing here compiles.
//
// It is pure: the same state, tables and seed find the same. It is not in the loop of the controller:
// whoever shows a finding of the proof asks it.
package witness
