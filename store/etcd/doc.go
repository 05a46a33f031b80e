// Package etcd keeps Sluice's objects in etcd: the client with its domain operations, the
// watch that feeds store.State, and the embedded server that is the default.
//
// In the loop it is the first step: Watch lists, then yields batches of whole revisions.
// The API and the agents write through the domain operations, each of which is one
// transaction. Package store decides what a request writes, from what this package reads for
// it; here its values (number, VLAN id, address, MAC, name) are drawn and taken by
// create-if-absent in the transaction that creates the object, and what the decision presumed
// is compared there.
//
// It must never decide what a request may write: that is package store's. Nor does it
// interpret objects: what flows follow from them is package flows' matter.
package etcd
