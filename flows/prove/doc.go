// Package prove proves, over the flows that a switch really holds, that no tenant's frame reaches
// another tenant, and that none leaves by a way that the store does not allow.
//
// It works flow by flow, by induction, without regard to priority: any flow may be thought to fire
// for any frame that it matches, so what is proved holds in whatever order the switch looks. The
// invariant of a frame in each table behind classify and decap:
//
//   - metadata's tenant is the owner of the frame: of the port, of the tunnel key, of the tag on the trunk, or of the transit address that
//     it came by; it is 0 for the kernel's own ARP. A frame that a container here sent may become that of another
//     tenant's network, once, where both tenants agreed that it reaches that (peering.go). What comes from outside unasked
//     is for a port that the tenant publishes (publication.go);
//   - metadata's network is the one that the frame came from, the one that both agreed on, or the one that has its destination:
//     what crossed stays in that network, and goes to no router again;
//   - the register of whom a frame is from is 0, or the tenant whose container sent it to a peered tenant;
//   - the source register is that port, the gateway port, or 0;
//   - the destination register is a port of that network, the gateway port, or 0;
//   - the tunnel's destination is what the frame came with, or a VTEP of a host of the store.
//
// Each flow must keep it, given only what it matches itself and what its table promises. A flow
// speaks for one tenant: the tenant of its cookie, which its match must name. What
// speaks for no tenant must be one of a few shapes, which base.go lists.
//
// Some refusals depend on order: that a container speaks with its own addresses alone, that
// nobody opens a connection to the infrastructure, that what came from a tunnel enters none but where it is relayed in a star
// (star.go), and never goes back. There, in those tables alone, the
// frames that a flow passes, less those that flows of higher priority refuse, must hold none that must be refused
// (order.go, subtract.go).
//
// A refusal that is not there is found by what passes without it. Where nothing passes, nothing is wrong: a frame that no
// flow matches is dropped (OpenFlow 1.3, 5.4), so that flows which are missing are drift, and none of this package's business.
// So is a leftover that does no harm. One that names a port, a network or an address which the store does not have is
// a finding: the number may be given to another.
//
// Hosts compose: what a host may put into a tunnel is under the key of the frame's own network, and each host
// gives what comes under a key to the network that has it.
//
// It is pure, and it must never ask what the compiler would emit: it uses of package flows only the names of what stands
// in flows. So a mistake of the compiler is found too. In the loop it stands behind the reading of a switch's tables.
package prove
