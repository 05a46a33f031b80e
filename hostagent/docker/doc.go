// Package docker is Docker's network and IPAM driver "sluice": what dockerd asks by libnetwork's plugin
// protocol, in the words of the agent's own API. In reading order:
//
//   - driver.go    the socket, the paths, and how errors reach Docker's users
//   - options.go   what -o, --ipam-opt and --driver-opt may say
//   - ipam.go      pools and addresses
//   - network.go   a network of one Docker daemon, and the tenant's network that it stands for
//   - endpoint.go  a container's interface
//   - sweep.go     interfaces that no container came for
//
// In the project's loop it stands before the agent's attach path as sluice-cni does: it asks by the
// agent's socket and never touches etcd, the switch or a container. It makes no tenant and no network
// of Sluice's. Docker moves the interface into the container itself.
//
// Docker calls in this order: for a network RequestPool and CreateNetwork; for a container
// RequestAddress, CreateEndpoint, Join, and at its end Leave, DeleteEndpoint, ReleaseAddress.
package docker
