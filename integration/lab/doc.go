// Package lab runs a whole Sluice cluster on one machine, from real parts: hosts are network
// namespaces with an Open vSwitch of their own, containers are namespaces attached through
// their host's agent, and the controller, the agents and etcd are the sluice binary.
//
//	root namespace     forwarder: 127.0.0.1 -> the API and etcd, whichever answers
//	sluice-net         one Linux bridge: the underlay, 172.30.0.0/24
//	sluice-ctl         172.30.0.100: controller c1, with embedded etcd unless there are members of etcd
//	sluice-ctlN        172.30.0.(99+N): controller cN
//	sluice-etcdN       172.30.0.(110+N): member eN of etcd
//	sluice-hN          172.30.0.N: ovsdb-server, ovs-vswitchd, agent; NIC eth0 in bridge br-phy
//	sluice-inet        172.30.0.254 and 203.0.113.1: the hosts' way out and the internet behind it
//	sluice-c-NAME      a container
//
// Up is idempotent: it makes what is missing, starts what is dead and leaves alone what is
// well. Down removes everything that carries these names, also after a crash. What the lab
// knows is in files under Dir: it has no process of its own besides the forwarder.
//
// The lab must never touch a namespace, interface or process that is not its own, and never
// writes to etcd or to a switch's br-int: that is the product's work.
package lab
