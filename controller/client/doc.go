// Package client is the Go client of the API, with the types of what is sent and answered. The command line, the lab,
// the pages of package web and the benchmarks use it, and so may other programs: it brings the standard library and
// types alone, none of the server.
//
// Dial makes a Client, whose methods are named as the operations in docs/api.md. What an answer refuses is a Problem, whose
// kind errors.Is tells; where nobody answered it is an UnreachableError. AsOf changes an object only as it was read, and
// Watch follows the cluster over lost connections.
//
// The package keeps nothing of what it was told, and asks nothing by itself.
package client
