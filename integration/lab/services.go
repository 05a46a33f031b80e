package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sluice/controller/client"
	agentapi "sluice/hostagent/api"
	"sluice/pki"
	"sluice/store"
)

// startLimit bounds how long a process may take to answer.
const startLimit = 30 * time.Second

func address(ip netip.Addr, port uint16) string { return netip.AddrPortFrom(ip, port).String() }

// ensureProcess starts a process unless it runs, and waits until it answers.
func ensureProcess(ctx context.Context, name string, ready func(context.Context) error, argv ...string) error {
	wait, err := startProcess(ctx, name, ready, argv...)
	if err != nil {
		return err
	}
	return wait()
}

// startProcess starts a process unless it runs; wait waits until it answers.
func startProcess(ctx context.Context, name string, ready func(context.Context) error, argv ...string) (wait func() error, err error) {
	if _, alive := lookup(name); alive {
		return func() error { return nil }, nil
	}
	if _, err := kill(name); err != nil {
		return nil, err
	}
	p, err := spawn(name, nil, nil, argv...)
	if err != nil {
		return nil, err
	}
	return func() error { return p.waitReady(ctx, startLimit, ready) }, nil
}

func (s *state) ensureInternetServer(ctx context.Context) error {
	return ensureProcess(ctx, "internet", answers(InternetNS, address(InternetAddress, 80)),
		s.Binary, "lab", "serve-internet", InternetAddress.String())
}

// controllerReady asks one controller, from inside its machine.
func controllerReady(m machine) func(context.Context) error {
	return func(ctx context.Context) error {
		c := http.Client{Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, network, at string) (net.Conn, error) {
				return DialIn(ctx, m.ns, network, at)
			},
		}}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address(loopback, apiPort)+"/readyz", nil)
		if err != nil {
			return err
		}
		resp, err := c.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
		var problem struct{ Detail, Type string }
		if err := json.NewDecoder(resp.Body).Decode(&problem); err != nil || problem.Detail == "" {
			problem.Detail = resp.Status
		}
		err = fmt.Errorf("controller %s is not ready: %s", m.name, problem.Detail)
		if problem.Type == client.TypeHeld {
			err = fmt.Errorf("%w: %w: put the right etcd back, or `sluice lab kill controller` and `sluice lab up --adopt`", err, errHeld)
		}
		return err
	}
}

// errHeld says that a process runs and will not become ready: it holds, since etcd does not hold
// the store that it serves.
var errHeld = errors.New("it holds")

// adapted is a command line as ReviveAs has it.
func (s *state) adapted(argv []string) []string {
	if s.adapt == nil {
		return argv
	}
	return s.adapt(argv)
}

// dnsUpstream is the flag of an agent that says who is asked for names that are no container's: in the lab, the
// fake internet.
const dnsUpstream = "--dns-upstream"

// ensureAgent starts a host's agent.
func (s *state) ensureAgent(ctx context.Context, n int) error {
	host := hostName(n)
	name := "agent-" + host
	if _, alive := lookup(name); alive && !s.adopt {
		return nil
	}
	if err := ensureCertificate(host, pki.Host(host)); err != nil {
		return err
	}
	if !s.adopt && s.adapt == nil { // the store that is adopted knows its hosts, and a controller that holds enrols none
		if err := s.ensureEnrolled(ctx, host); err != nil {
			return err
		}
	}
	argv := []string{
		"env", "OVS_RUNDIR=" + hostDir(host),
		s.Binary, "agent", "--host", host,
		"--vtep", hostAddress(n).String(),
		"--etcd-endpoints", s.etcdEndpoints(),
		"--ovsdb", switchOf(host).Endpoint(),
		"--controllers", s.openFlowTargets(),
		"--pki", pkiDir(host),
		"--socket", agentSocket(host),
		"--docker-socket", filepath.Join(dockerOf(host).plugins(), "sluice.sock"),
		"--state-dir", filepath.Join(hostDir(host), "agent"),
		"--encap", s.Encap,
		"--datapath-type", "netdev",
		"--uplink", phyBridge,
		"--gateway",
		"--infrastructure", Underlay.String(),
		"--entry", netip.AddrPortFrom(hostAddress(n), EntryPort).String(),
		dnsUpstream, InternetAddress.String(),
	}
	if s.Trunk {
		argv = append(argv, "--trunk", TrunkInterface)
	}
	if s.adopt {
		if _, err := kill(name); err != nil {
			return err
		}
		argv = append(argv, "--adopt")
	}
	return ensureProcess(ctx, name, agentReady(host), s.adapted(argv)...)
}

func agentReady(host string) func(context.Context) error {
	return func(ctx context.Context) error {
		c := agentapi.Dial(agentSocket(host))
		defer c.Close()
		st, err := c.Status(ctx)
		switch {
		case err != nil:
			return err
		case st.Store.Held != "":
			return fmt.Errorf("%w: %s", errHeld, st.Store.Held)
		case !st.Registered:
			return errors.New("it has not registered its host yet")
		}
		return nil
	}
}

// ensureForward starts the forwarder from this machine's loopback. The listeners are opened
// here and inherited, so that the ports are known before it starts; after a restart it gets
// the same ones where they are still free.
func (s *state) ensureForward(context.Context) error {
	if _, alive := lookup("forward"); alive {
		return nil
	}
	var files []*os.File
	for _, at := range []*string{&s.API, &s.Etcd} {
		l, err := listenLoopback(*at)
		if err != nil {
			return err
		}
		defer l.Close()
		f, err := l.File()
		if err != nil {
			return err
		}
		defer f.Close()
		files = append(files, f)
		*at = l.Addr().String()
	}
	if err := s.save(); err != nil {
		return err
	}
	_, err := spawn("forward", nil, files, s.Binary, "lab", "forward", s.apis(), s.etcds())
	return err
}

// apis and etcds are, for the forwarder, who may answer, in the order in which it asks them.
func (s *state) apis() string {
	var all []string
	for _, m := range s.controllers() {
		all = append(all, Backend{Process: controllerProcess(m), Address: address(loopback, apiPort)}.String())
	}
	return strings.Join(all, ",")
}

func (s *state) etcds() string {
	var all []string
	for _, m := range s.etcdMembers() {
		all = append(all, Backend{Process: etcdProcess(m), Address: address(m.address, etcdPort), TLS: true}.String())
	}
	if len(all) == 0 {
		m := s.controllers()[0]
		all = append(all, Backend{Process: controllerProcess(m), Address: address(m.address, etcdPort), TLS: true}.String())
	}
	return strings.Join(all, ",")
}

func listenLoopback(wanted string) (*net.TCPListener, error) {
	if wanted != "" {
		if l, err := net.Listen("tcp", wanted); err == nil {
			return l.(*net.TCPListener), nil
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return l.(*net.TCPListener), nil
}

// waitRealized waits until the controller programs every host.
func (s *state) waitRealized(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	c, err := client.Dial("http://"+s.API, client.WithTokenFile(tokenFile()))
	if err != nil {
		return err
	}
	for {
		err := s.realized(ctx, c)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; see %s", err, logPath("controller-c*"))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// realized names the first host that is not, or does not know its peers.
func (s *state) realized(ctx context.Context, c *client.Client) error {
	st, err := c.Status(ctx)
	if err != nil {
		return err
	}
	states := map[string]store.HostState{}
	for _, h := range st.Hosts {
		states[h.Name] = h.State
	}
	for _, host := range s.hostNames() {
		switch states[host] {
		case store.HostRealized, store.HostMissing:
		case "":
			return fmt.Errorf("host %s is not known to the controller", host)
		default:
			return fmt.Errorf("host %s is %s", host, states[host])
		}
		if err := s.knowsPeers(ctx, host); err != nil {
			return err
		}
	}
	return nil
}

// knowsPeers fails until a host has resolved all others: the first packet to one that it
// has not is lost, and whoever raised the lab pings at once.
func (s *state) knowsPeers(ctx context.Context, host string) error {
	c := agentapi.Dial(agentSocket(host))
	defer c.Close()
	st, err := c.Status(ctx)
	if err != nil {
		return err
	}
	if st.Peers < s.Hosts-1 {
		return fmt.Errorf("host %s has resolved %d of %d tunnel peers", host, st.Peers, s.Hosts-1)
	}
	return nil
}

// answers is a check that fails until a TCP server inside a namespace accepts connections.
func answers(ns, addr string) func(context.Context) error {
	return func(ctx context.Context) error {
		c, err := DialIn(ctx, ns, "tcp", addr)
		if err != nil {
			return err
		}
		return c.Close()
	}
}
