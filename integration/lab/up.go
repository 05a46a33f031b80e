package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Options say what lab to make. Zero values take what a running lab has, else the default.
type Options struct {
	Hosts       int    // default 3
	Controllers int    // default 1
	EtcdMembers int    // default 0: the first controller runs etcd
	Encap       string // vxlan (default), geneve or gre
	Topology    string // mesh (default)
	Trunk       bool   // each host has a second interface, on a switch that carries VLANs, and its agent knows it
	// Adopt starts controllers and agents anew, to serve the store that etcd holds now.
	Adopt  bool
	Binary string // the sluice binary that the lab runs; default: this process's own
	Out    io.Writer
}

const defaultHosts = 3

var encaps = []string{"vxlan", "geneve", "gre"}

// Up makes the lab, or what is missing of it: it starts what is dead and leaves alone what
// is well. A lab can grow by hosts; anything else needs Down first.
func Up(ctx context.Context, o Options) error {
	if err := checkMachine(); err != nil {
		return err
	}
	unlock, err := lock(ctx, unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer unlock()
	p := newProgress(o.Out)
	s, err := settle(ctx, o, p)
	if err != nil {
		return err
	}
	if err := s.raise(ctx, p); err != nil {
		return fmt.Errorf("%w\n`sluice lab up` tries again, `sluice lab down` removes what there is", err)
	}
	return nil
}

// settle decides what lab there shall be, and writes it down before anything is made.
func settle(ctx context.Context, o Options, p *progress) (*state, error) {
	was, err := loadState()
	if err != nil {
		if err := clearLeftovers(ctx, p); err != nil {
			return nil, err
		}
		was = &state{}
	}
	s, err := o.merge(was)
	if err != nil {
		return nil, err
	}
	for _, dir := range []string{"logs", "processes", "containers"} {
		if err := os.MkdirAll(filepath.Join(Dir, dir), 0o755); err != nil {
			return nil, err
		}
	}
	return s, s.save()
}

// clearLeftovers removes what a lab left that lost its state.
func clearLeftovers(ctx context.Context, p *progress) error {
	left, err := Namespaces()
	if err != nil {
		return err
	}
	if len(left) == 0 {
		return tearDown(ctx) // files, if anything
	}
	return p.step(fmt.Sprintf("clear %d namespaces of a lab that broke off", len(left)), func() error {
		return tearDown(ctx)
	})
}

// merge checks the options against the lab that there is.
func (o Options) merge(was *state) (*state, error) {
	s := *was
	s.Hosts = firstNonZero(o.Hosts, was.Hosts, defaultHosts)
	s.Controllers = firstNonZero(o.Controllers, was.Controllers, 1)
	s.EtcdMembers = firstNonZero(o.EtcdMembers, was.EtcdMembers)
	s.Encap = firstNonZero(o.Encap, was.Encap, encaps[0])
	s.Topology = firstNonZero(o.Topology, was.Topology, "mesh")
	s.Trunk = o.Trunk || was.Trunk
	binary, err := ownBinary(o.Binary)
	if err != nil {
		return nil, err
	}
	s.Binary, s.adopt = binary, o.Adopt
	if err := o.checkControl(was, &s); err != nil {
		return nil, err
	}
	switch {
	case s.Hosts < 1 || s.Hosts > maxHosts:
		return nil, fmt.Errorf("a lab has 1 to %d hosts, not %d", maxHosts, s.Hosts)
	case s.Hosts < was.Hosts:
		return nil, fmt.Errorf("the lab has %d hosts and cannot shrink to %d: run `sluice lab down` first", was.Hosts, s.Hosts)
	case !slices.Contains(encaps, s.Encap):
		return nil, fmt.Errorf("encapsulation %q: use vxlan, geneve or gre", s.Encap)
	case was.Encap != "" && s.Encap != was.Encap:
		return nil, fmt.Errorf("the lab's tunnels are %s, not %s: run `sluice lab down` first", was.Encap, s.Encap)
	case was.Hosts > 0 && s.Trunk != was.Trunk:
		return nil, errors.New("the lab has no trunk: run `sluice lab down` first")
	case s.Topology != "mesh":
		return nil, fmt.Errorf("topology %q: this version sends host to host (mesh) only", s.Topology)
	}
	return &s, nil
}

// checkControl refuses a control plane that cannot be, or that the lab cannot become: the
// switches and agents of its hosts were told whom to dial.
func (o Options) checkControl(was, s *state) error {
	is := firstNonZero(was.Controllers, s.Controllers)
	switch {
	case s.Controllers < 1 || s.Controllers > maxControllers:
		return fmt.Errorf("a lab has 1 to %d controllers, not %d", maxControllers, s.Controllers)
	case s.EtcdMembers < 0 || s.EtcdMembers > maxEtcd:
		return fmt.Errorf("a lab has 1 to %d members of etcd, or etcd inside the controller, not %d", maxEtcd, s.EtcdMembers)
	case s.Controllers != is, was.Hosts > 0 && s.EtcdMembers != was.EtcdMembers:
		return fmt.Errorf("the lab has %d controllers and %d members of etcd: run `sluice lab down` before another choice", is, was.EtcdMembers)
	}
	return nil
}

// ownBinary is an absolute path: the lab's processes start elsewhere.
func ownBinary(path string) (string, error) {
	if path == "" {
		return os.Executable()
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	_, err = os.Stat(path)
	return path, err
}

func firstNonZero[T comparable](values ...T) T {
	var zero T
	for _, v := range values {
		if v != zero {
			return v
		}
	}
	return zero
}

// step is one part of a lab.
type step struct {
	title string
	do    func(context.Context) error
}

// raise makes each part in the order in which they need each other.
func (s *state) raise(ctx context.Context, p *progress) error {
	steps := []step{
		{"underlay " + Underlay.String() + " in " + UnderlayNS, ensureUnderlay},
		{"internet " + InternetAddress.String() + " in " + InternetNS, ensureInternet},
		{"internet's server", s.ensureInternetServer},
		{"controllers' machines, the first " + ControlAddress.String() + " in " + ControlNS, s.ensureMachines},
		{"way in from 127.0.0.1", s.ensureForward},
		{"authority of the certificates", func(context.Context) error { return s.ensureAuthority() }},
	}
	if s.EtcdMembers == 0 {
		steps = append(steps, step{"controller with etcd", s.ensureControllers})
	} else {
		steps = append(steps,
			step{fmt.Sprintf("etcd, members: %d", s.EtcdMembers), s.ensureEtcd},
			step{fmt.Sprintf("controllers: %d", s.Controllers), s.ensureControllers})
	}
	for _, st := range steps {
		if err := p.step(st.title, func() error { return st.do(ctx) }); err != nil {
			return err
		}
	}
	if s.Trunk { // before the hosts, which are made side by side
		if err := p.step("the trunk's switch", func() error { return EnsureTrunk(ctx) }); err != nil {
			return err
		}
	}
	if err := s.raiseHosts(ctx, p); err != nil {
		return err
	}
	if s.adopt {
		// After the hosts: what these took into the store keeps its flows so.
		if err := p.step("controllers adopt", func() error { return s.adoptControllers(ctx) }); err != nil {
			return err
		}
	}
	return p.step("every host programmed", func() error { return s.waitRealized(ctx) })
}

// raiseHosts makes hosts side by side; 4 at a time keep a small machine busy.
func (s *state) raiseHosts(ctx context.Context, p *progress) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for n := 1; n <= s.Hosts; n++ {
		host := hostName(n)
		g.Go(func() error {
			return p.step(fmt.Sprintf("host %s %s in %s: switch and agent", host, hostAddress(n), hostNS(host)), func() error {
				if err := ensureHost(ctx, n); err != nil {
					return err
				}
				if s.Trunk {
					if err := EnsureTrunk(ctx, host); err != nil {
						return err
					}
				}
				return s.ensureAgent(ctx, n)
			})
		})
	}
	return g.Wait()
}

// HowTo says how to talk to the lab.
func (st Status) HowTo() string {
	return fmt.Sprintf(`The lab runs. Hosts: %d, tunnels: %s, logs: %s
  sluice tenant create alice                 a tenant
  sluice lab run h1 alice a1                 a container on h1; then a2 on h2
  sluice lab exec a1 -- ping -c 3 ADDRESS    talk from inside it
  sluice flows --host h1 --tenant alice      what the switch really does
  sluice lab status, sluice lab down
API %s  etcd %s
`, len(st.Hosts), st.Encap, filepath.Join(Dir, "logs"), st.API, st.Etcd)
}
