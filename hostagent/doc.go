// Package hostagent is what runs on every host beside Open vSwitch. In reading order:
//
//   - agent.go       options, the parts of an agent, and what Run starts
//   - store.go       what the agent uses of the store's client
//   - identity.go    who this host is, kept in its state directory over restarts
//   - register.go    the registration that says that the host is alive
//   - alive.go       which hosts' agents are alive, for attaches that wait for them
//
// What the host is made of is kept by keepers, which share one shape: what is, what should be,
// make it so.
//
//   - keeper.go      the shape
//   - keepers.go     the list: each keeper, and what it needs first
//   - mend.go        gives the keepers their turns
//   - keep_*.go      one keeper each; beside them ruleset.go, the rules of nftables; in_place.go, what
//     they were made for, where nobody knows; neighbour.go,
//     which resolves tunnel addresses; namespace.go, which enters one; unixctl.go, the switch's control socket; sysctl.go
//
// Containers come and go by requests.
//
//   - server.go      the unix socket
//   - request.go     checks what an attach asks for, and answer.go says what there is
//   - attach.go      a container's port: etcd, veth, OVSDB, then wait for its flows; detach.go
//   - journal.go     what was begun and not finished, so that a crash leaves nothing behind
//   - publishing.go  what ports publish themselves, and whether a new one may
//   - resolving.go   the host's resolver: its names, and room.go, the namespace in which containers ask it
//   - plug.go        a port's interface in the switch, and the undoing of an attach
//   - veth.go        a port's interface in the kernel; offload.go, its checksums
//
// problems.go keeps what Status shows, and retry.go tries again what failed outside the keepers.
//
// In the project's loop it is one of two writers: it writes its host and its host's ports
// to etcd, and reads there how far the controllers are. It never writes a flow, never talks
// to a controller but through etcd, and never stops a packet by restarting: everything it
// makes outlives it, and at start it changes only what is wrong.
//
// Words: a port is held while an attach or detach works on it; to mend is to make what is what
// should be; lost is a registration that ended without the agent's doing, as by its lease.
package hostagent
