// Package host is what a controller keeps of each host, whether its switch is connected or not:
// the slices of flows that are marked as out of date, the switch's ports as last told, and how
// the host stands: up to which revision its switch is right, and what is wrong there.
//
// In the loop it stands between the picture of the cluster and the session with a switch: the
// Fleet observes the picture and marks, a session takes the marks and confirms them, the report
// asks how every host stands.
//
// It must never talk to a switch or to etcd. Order of locks: the picture's, the Fleet's, a Host's.
package host
