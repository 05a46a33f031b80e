// Package entry is a host's entry: where browsers ask for what tenants publish by routes, and where requests leave for the
// tenant's gateway host.
//
//   - route.go         what a route needs to be walked, from what the store holds
//   - table.go         the routes that stand now; one that goes ends its own streams and no other's
//   - entry.go         one request: whose it is, whether it may pass, and who carries it
//   - carry.go         what a container is told of a request, and a browser of an answer
//   - cookies.go       cookies stay on the name, and under the path, that they come from
//   - login.go         who is asked first whether a request may pass
//   - reach.go         connections to containers: from this host's kernel, or by another host's relay
//   - relay.go         a gateway host's end of it: connections for the entries of other hosts
//   - certificates.go  certificates of a directory, which are read again when they change
//   - page.go          what browsers see where there is nothing to carry
//
// In the agent's loop it reads the routes that a keeper puts into its table. It must never open a connection to anything but a
// route's port on its tenant's transit address, nor believe what a client says of itself: the tenant's flows decide what that port
// leads to, and nothing here can widen them.
package entry
