// Package worlds makes random clusters for tests: of several hosts and tenants, whose tenants have the
// same subnets, addresses and MACs, with gateways that drain, VLANs and tunnels, both address
// families, allowed address pairs, and objects that a hand edit has spoilt.
//
// A world is the same whenever it is made of the same seed. It is for tests alone: nothing of
// the product imports it. It compiles nothing, so that what does not compile (flows/prove) may be tested with it.
package worlds
