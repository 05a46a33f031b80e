package lab

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
)

// Dir is where the lab keeps its state, logs, databases and sockets.
const Dir = "/run/sluice-lab"

// The lab's fixed namespaces. Hosts, containers, further controllers and members of etcd have
// one each besides.
const (
	UnderlayNS = "sluice-net"
	ControlNS  = "sluice-ctl" // the first controller's
	InternetNS = "sluice-inet"
)

const (
	hostNSPrefix      = "sluice-"
	containerNSPrefix = "sluice-c-"

	underlayBridge = "underlay"
	trunkBridge    = "trunk"  // the switch that carries VLANs between hosts
	trunkNIC       = "eth1"   // a host's interface there, where the lab has trunks
	nic            = "eth0"   // every namespace's interface
	phyBridge      = "br-phy" // a host's bridge between its NIC and its kernel

	// maxHosts keeps hosts' addresses below the first controller's.
	maxHosts = 99
)

// Addresses of the underlay and of the internet behind it.
var (
	Underlay        = netip.MustParsePrefix("172.30.0.0/24")
	ControlAddress  = netip.MustParseAddr("172.30.0.100") // the first controller's
	RouterAddress   = netip.MustParseAddr("172.30.0.254")
	InternetAddress = netip.MustParseAddr("203.0.113.1")

	loopback = netip.MustParseAddr("127.0.0.1")
)

const (
	apiPort      = 8080
	etcdPort     = 2379
	etcdPeerPort = 2380
	openFlowPort = 6653

	// EntryPort is where each host takes requests for what tenants publish by host names.
	EntryPort = 8088
)

// ours matches exactly the namespaces that the lab makes.
var ours = regexp.MustCompile(`^sluice-(net|ctl[2-9]?|etcd[1-7]|inet|h[1-9][0-9]?|c-[a-z0-9-]+)$`)

func hostName(n int) string { return fmt.Sprintf("h%d", n) }

func hostNS(host string) string { return hostNSPrefix + host }

// ContainerNS is the namespace of a container.
func ContainerNS(name string) string { return containerNSPrefix + name }

// hostAddress is the VTEP of host n, counted from 1.
func hostAddress(n int) netip.Addr { return underlayAddress(n) }

func underlayAddress(n int) netip.Addr {
	a := Underlay.Addr().As4()
	a[3] = byte(n)
	return netip.AddrFrom4(a)
}

// underlayMAC is the MAC of whoever has an address on the underlay.
func underlayMAC(a netip.Addr) string {
	b := a.As4()
	return fmt.Sprintf("02:%02x:%02x:%02x:%02x:00", b[0], b[1], b[2], b[3])
}

// nicMAC is that of a host's NIC. It differs from its bridge's, so that the host's kernel,
// which also sees what the NIC receives, takes no frame twice.
func nicMAC(n int) string {
	b := hostAddress(n).As4()
	return fmt.Sprintf("02:%02x:%02x:%02x:%02x:01", b[0], b[1], b[2], b[3])
}

// hostDir is a host's OVS_RUNDIR and holds its agent's socket and state besides.
func hostDir(host string) string { return filepath.Join(Dir, host) }

func agentSocket(host string) string { return filepath.Join(hostDir(host), "agent.sock") }

// nsPath is where ip-netns(8) mounts a namespace.
func nsPath(ns string) string { return filepath.Join("/run/netns", ns) }

func logPath(process string) string { return filepath.Join(Dir, "logs", process+".log") }
