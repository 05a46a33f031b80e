package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"sluice/pki"
)

// machine is one of the control plane: it runs a controller or a member of etcd, in a
// namespace of its own, so that it can be cut off from each host and each other machine.
type machine struct {
	name    string // c1, c2, ...: controllers; e1, e2, ...: members of etcd
	ns      string
	address netip.Addr
}

const (
	maxControllers = 9
	maxEtcd        = 7
	// The last byte of the address before the first machine of a kind.
	beforeControllers, beforeEtcd = 99, 110
)

// controller is machine n, counted from 1, among those that run a controller.
func controllerMachine(n int) machine {
	ns := ControlNS
	if n > 1 {
		ns += strconv.Itoa(n)
	}
	return machine{name: fmt.Sprintf("c%d", n), ns: ns, address: underlayAddress(beforeControllers + n)}
}

// etcdMachine is machine n, counted from 1, among those that run a member of etcd.
func etcdMachine(n int) machine {
	return machine{name: fmt.Sprintf("e%d", n), ns: fmt.Sprintf("sluice-etcd%d", n), address: underlayAddress(beforeEtcd + n)}
}

func (s *state) controllers() []machine { return machines(s.Controllers, controllerMachine) }

// etcdMembers is empty where etcd runs inside the first controller.
func (s *state) etcdMembers() []machine { return machines(s.EtcdMembers, etcdMachine) }

func machines(n int, number func(int) machine) []machine {
	all := make([]machine, n)
	for i := range all {
		all[i] = number(i + 1)
	}
	return all
}

// wire is the name of the machine's port in the underlay's bridge.
func (m machine) wire() string { return strings.TrimPrefix(m.ns, hostNSPrefix) }

// ensureMachines wires the machines of the control plane to the underlay.
func (s *state) ensureMachines(ctx context.Context) error {
	for _, m := range append(s.controllers(), s.etcdMembers()...) {
		made, err := ensureWired(ctx, m.ns, m.wire(), underlayMAC(m.address))
		if err != nil {
			return err
		}
		if !made {
			continue
		}
		err = ipBatch(ctx, m.ns,
			fmt.Sprintf("address add %s/%d dev %s", m.address, Underlay.Bits(), nic),
			fmt.Sprintf("route add default via %s", RouterAddress))
		if err != nil {
			return err
		}
	}
	return nil
}

// etcdProcess is the name of the process that is a member of etcd.
func etcdProcess(m machine) string { return "etcd-" + m.name }

func controllerProcess(m machine) string { return "controller-" + m.name }

// ensureEtcd starts the members of a cluster of etcd, each a process of its own. They elect a
// leader only together, so none is waited for before all run.
func (s *state) ensureEtcd(ctx context.Context) error {
	var waits []func() error
	for _, m := range s.etcdMembers() {
		wait, err := s.startMember(ctx, m)
		if err != nil {
			return err
		}
		waits = append(waits, wait)
	}
	for _, wait := range waits {
		if err := wait(); err != nil {
			return err
		}
	}
	return s.confine(ctx)
}

// confine has the cluster of etcd ask who somebody is, as its operator does.
func (s *state) confine(ctx context.Context) error {
	argv := []string{"ip", "netns", "exec", ControlNS, s.Binary, "pki", "etcd"}
	for _, m := range s.controllers() {
		argv = append(argv, m.name)
	}
	_, err := run(ctx, append(argv, "--pki", authorityDir(), "--etcd-endpoints", s.etcdEndpoints())...)
	return err
}

func (s *state) startMember(ctx context.Context, m machine) (wait func() error, err error) {
	return startProcess(ctx, etcdProcess(m), answers(m.ns, address(m.address, etcdPort)), s.etcdArguments(m)...)
}

// ensureMember starts one member of a cluster that was there before.
func (s *state) ensureMember(ctx context.Context, m machine) error {
	wait, err := s.startMember(ctx, m)
	if err != nil {
		return err
	}
	return wait()
}

// etcdArguments are those of one member. The lab's clusters are new: a member that comes back
// finds its data and passes over what is said of its first start.
func (s *state) etcdArguments(m machine) []string {
	var members []string
	for _, other := range s.etcdMembers() {
		members = append(members, other.name+"=https://"+address(other.address, etcdPeerPort))
	}
	client, peer := "https://"+address(m.address, etcdPort), "https://"+address(m.address, etcdPeerPort)
	own, authority := filepath.Join(pkiDir(m.name), etcdIdentity(m).File()), filepath.Join(pkiDir(m.name), pki.AuthorityFile)
	return []string{
		"etcd", "--name", m.name, "--data-dir", filepath.Join(Dir, "etcd", m.name),
		"--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
		"--initial-cluster", strings.Join(members, ","), "--initial-cluster-state", "new",
		"--initial-cluster-token", "sluice-lab",
		"--cert-file", own, "--key-file", own, "--trusted-ca-file", authority, "--client-cert-auth",
		"--peer-cert-file", own, "--peer-key-file", own, "--peer-trusted-ca-file", authority, "--peer-client-cert-auth",
		"--quota-backend-bytes", strconv.Itoa(2 << 30),
		"--auto-compaction-mode", "periodic", "--auto-compaction-retention", "10m",
	}
}

// etcdEndpoints are where agents, and controllers without an etcd of their own, find etcd.
func (s *state) etcdEndpoints() string {
	servers := s.etcdMembers()
	if len(servers) == 0 {
		servers = s.controllers()[:1]
	}
	var all []string
	for _, m := range servers {
		all = append(all, "https://"+address(m.address, etcdPort))
	}
	return strings.Join(all, ",")
}

// openFlowTargets are where a host's switch dials.
func (s *state) openFlowTargets() string {
	var all []string
	for _, m := range s.controllers() {
		all = append(all, "ssl:"+address(m.address, openFlowPort))
	}
	return strings.Join(all, ",")
}

// ensureControllers starts the controllers; the first of them runs etcd where there are no
// members of their own, so it is waited for before the next one.
func (s *state) ensureControllers(ctx context.Context) error {
	for _, m := range s.controllers() {
		err := s.ensureController(ctx, m)
		if err != nil && !(s.adopt && errors.Is(err, errHeld)) { // one that is to adopt holds until the hosts did
			return err
		}
	}
	return nil
}

// adoptControllers starts the controllers anew, to serve the store that etcd holds.
func (s *state) adoptControllers(ctx context.Context) error {
	for _, m := range s.controllers() {
		if _, err := kill(controllerProcess(m)); err != nil {
			return err
		}
		if err := s.ensureController(ctx, m, "--adopt"); err != nil {
			return err
		}
	}
	return nil
}

func (s *state) ensureController(ctx context.Context, m machine, more ...string) error {
	argv := []string{
		s.Binary, "controller", "--name", m.name,
		"--listen-openflow", address(m.address, openFlowPort),
		"--listen-api", address(loopback, apiPort),
		"--data-dir", filepath.Join(Dir, controllerProcess(m)),
		"--pki", pkiDir(m.name),
		"--local-token-file", tokenFile(), "--metrics-without-token", // it is reached from this machine's loopback only
		"--audit-log", filepath.Join(Dir, "logs", "audit-"+m.name+".log"),
	}
	if m == controllerMachine(1) && s.EtcdMembers == 0 {
		argv = append(argv,
			"--embedded-etcd-client-url", "https://"+address(m.address, etcdPort),
			"--embedded-etcd-peer-url", "https://"+address(m.address, etcdPeerPort))
	} else {
		argv = append(argv, "--etcd-endpoints", s.etcdEndpoints())
	}
	return ensureProcess(ctx, controllerProcess(m), controllerReady(m), s.adapted(append(argv, more...))...)
}

// machineOf is a machine of the control plane by its name.
func (s *state) machineOf(name string) machine {
	all := append(s.controllers(), s.etcdMembers()...)
	return all[slices.IndexFunc(all, func(m machine) bool { return m.name == name })]
}

// machineNS is the namespace of a machine of the control plane; empty: there is no such machine.
func machineNS(name string) string {
	all := append(machines(maxControllers, controllerMachine), machines(maxEtcd, etcdMachine)...)
	if i := slices.IndexFunc(all, func(m machine) bool { return m.name == name }); i >= 0 {
		return all[i].ns
	}
	return ""
}
