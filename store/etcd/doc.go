// Package etcd keeps Sluice's objects in etcd: the client with its domain operations, the
// watch that feeds store.State, and the embedded server that is the default.
//
// In the loop it is the first step: Watch lists, then yields batches of whole revisions.
// The API and the agents write through the domain operations, each of which is one
// transaction: what an object takes (number, VLAN id, address, MAC, name) is taken by
// create-if-absent in the transaction that creates it, and what must not change meanwhile
// is compared there.
//
// It must never interpret objects beyond what a transaction guards: what flows follow from
// them is package flows' matter.
package etcd
