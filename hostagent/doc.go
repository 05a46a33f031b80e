// Package hostagent is what runs on every host beside Open vSwitch:
//
//   - identity.go    who this host is, kept in its state directory over restarts
//   - agent.go       options, and the loops that Run starts
//   - register.go    the lease that says that the host is alive
//   - bridge.go      br-int, its tunnel port and its gateway port
//   - attach.go      a container's port: etcd, veth, OVSDB, then wait for its flows
//   - veth.go        the kernel's side of a port
//   - journal.go     what was begun and not finished, so that a crash leaves nothing behind
//   - mend.go        compares etcd, OVSDB and the kernel, and repairs or removes what differs
//   - gateway.go     the kernel's side of tenants' egress, and ruleset.go its nftables table
//   - warm.go        keeps the tunnel peers' MAC addresses known to the switch
//   - server.go      the unix socket
//
// In the project's loop it is one of two writers: it writes its host and its host's ports
// to etcd, and reads there how far the controllers are. It never writes a flow, never talks
// to a controller but through etcd, and never stops a packet by restarting: everything it
// makes outlives it, and at start it changes only what is wrong.
package hostagent
