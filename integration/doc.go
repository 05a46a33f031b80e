// Package integration holds the end-to-end tests: the laws of the design, each tried with
// traffic through real switches, real etcd and real namespaces, by the same commands that a
// user types. The cluster that they run on is package lab; the demonstration is package demo.
//
// The tests need root and Open vSwitch and skip without. SLUICE_REQUIRE_OVS=1 makes them
// fail instead; SLUICE_BINARY names a built sluice, else they build one.
package integration
