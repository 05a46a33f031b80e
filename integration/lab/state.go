package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"sluice/datapath/ovsrun"
	"sluice/store"
)

// ErrNotRunning says that there is no lab on this machine.
var ErrNotRunning = errors.New("no lab is running: start one with `sluice lab up`")

// Status is the lab as scripts see it (`sluice lab status -o json`).
type Status struct {
	API   string `json:"api"`  // URL on the machine's own loopback
	Etcd  string `json:"etcd"` // the same, for etcdctl --endpoints
	Hosts []Host `json:"hosts"`
	// Controllers and EtcdMembers are the machines of the control plane. Without members, the
	// first controller runs etcd.
	Controllers []Machine   `json:"controllers"`
	EtcdMembers []Machine   `json:"etcdMembers"`
	Containers  []Container `json:"containers"`
	Internet    Internet    `json:"internet"`
	TokenFile   string      `json:"tokenFile"` // what the API takes as Authorization: Bearer

	// Processes says what of the lab runs, for people.
	Processes []Process `json:"-"`
	Encap     string    `json:"-"`
}

// Machine runs a controller or a member of etcd.
type Machine struct {
	Name    string     `json:"name"`
	NetNS   string     `json:"netns"`
	Address netip.Addr `json:"address"`
}

func shown(machines []machine) []Machine {
	all := make([]Machine, len(machines))
	for i, m := range machines {
		all[i] = Machine{m.name, m.ns, m.address}
	}
	return all
}

// Host is a machine of the lab.
type Host struct {
	Name   string     `json:"name"`
	NetNS  string     `json:"netns"`
	RunDir string     `json:"rundir"` // its OVS_RUNDIR
	VTEP   netip.Addr `json:"vtep"`
}

// Switch is the host's Open vSwitch, for its own programs.
func (h Host) Switch() ovsrun.Switch { return ovsrun.Switch{Dir: h.RunDir} }

// ContainerPorts are the interfaces of containers in the host's switch.
func (h Host) ContainerPorts(ctx context.Context) ([]string, error) {
	ports, err := h.Switch().Client(ctx).VSwitch.ListPorts(store.BridgeName)
	return slices.DeleteFunc(ports, func(name string) bool { return !strings.HasPrefix(name, "sl-") }), err
}

// Container is a namespace attached to a tenant's network.
type Container struct {
	Name    string       `json:"name"`
	Tenant  string       `json:"tenant"`
	Network string       `json:"network"`
	Host    string       `json:"host"`
	NetNS   string       `json:"netns"`
	Iface   string       `json:"iface"`             // inside the namespace
	Runtime string       `json:"runtime,omitempty"` // one of Runtimes
	MAC     string       `json:"mac"`
	IPs     []netip.Addr `json:"ips"`

	// Warnings come from the attach: it worked, but not everywhere yet.
	Warnings []string `json:"-"`
}

// Internet is the network outside, as far as the lab has one: an address that answers HTTP
// on port 80 with the address and port that it saw its caller have.
type Internet struct {
	NetNS string     `json:"netns"`
	IP    netip.Addr `json:"ip"`
}

// state is what Up decided; it is written before anything is made.
type state struct {
	Hosts       int    `json:"hosts"`
	Controllers int    `json:"controllers"`
	EtcdMembers int    `json:"etcd_members"` // 0: the first controller runs etcd
	Encap       string `json:"encap"`
	Trunk       bool   `json:"trunk,omitempty"`
	Topology    string `json:"topology"`
	Binary      string `json:"binary"`
	API         string `json:"api"` // host:port on the loopback
	Etcd        string `json:"etcd"`

	adopt bool // in this run of Up: controllers and agents are to serve the store that etcd holds
	// adapt is ReviveAs's in this run; nil: command lines stay as they are.
	adapt func(argv []string) []string
}

// tokenFile has the token that all controllers of the lab take.
func tokenFile() string { return filepath.Join(Dir, "api.token") }

func statePath() string { return filepath.Join(Dir, "state.json") }

func loadState() (*state, error) {
	s := &state{}
	if err := readJSON(statePath(), s); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, ErrNotRunning
		}
		return nil, fmt.Errorf("%w; `sluice lab down` removes the lab", err)
	}
	return s, nil
}

func (s *state) save() error { return writeJSON(statePath(), s) }

func (s *state) hostNames() []string {
	names := make([]string, s.Hosts)
	for i := range names {
		names[i] = hostName(i + 1)
	}
	return names
}

// numberOf is the number of a host that the lab has.
func (s *state) numberOf(host string) int { return slices.Index(s.hostNames(), host) + 1 }

// hasHost returns ErrNotRunning's kind of help for a host that the lab lacks.
func (s *state) hasHost(host string) error {
	for _, name := range s.hostNames() {
		if name == host {
			return nil
		}
	}
	return fmt.Errorf("the lab has no host %q: it has h1 to h%d", host, s.Hosts)
}

// Load reads the lab's status, or returns ErrNotRunning.
func Load(_ context.Context) (Status, error) {
	s, err := loadState()
	if err != nil {
		return Status{}, err
	}
	containers, err := loadContainers()
	if err != nil {
		return Status{}, err
	}
	st := Status{
		API:        "http://" + s.API,
		Etcd:       "http://" + s.Etcd,
		Containers: containers,
		Internet:   Internet{NetNS: InternetNS, IP: InternetAddress},
		TokenFile:  tokenFile(),
		Encap:      s.Encap,

		Controllers: shown(s.controllers()),
		EtcdMembers: shown(s.etcdMembers()),
	}
	for i, name := range s.hostNames() {
		st.Hosts = append(st.Hosts, Host{
			Name: name, NetNS: hostNS(name), RunDir: hostDir(name), VTEP: hostAddress(i + 1),
		})
	}
	for _, name := range s.processNames() {
		st.Processes = append(st.Processes, describe(name))
	}
	return st, nil
}

func containersDir() string { return filepath.Join(Dir, "containers") }

func containerPath(name string) string { return filepath.Join(containersDir(), name+".json") }

func loadContainers() ([]Container, error) { return containersIn(containersDir()) }

// containersIn lists a folder's attached containers in the order of their names; one that is
// still being attached is not shown.
func containersIn(dir string) ([]Container, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	all := []Container{}
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".json" {
			continue // writeJSON is at work on it
		}
		var c Container
		err := readJSON(filepath.Join(dir, e.Name()), &c)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		if c.MAC != "" {
			all = append(all, c)
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return all, nil
}

func loadContainer(name string) (Container, error) {
	var c Container
	err := readJSON(containerPath(name), &c)
	if errors.Is(err, fs.ErrNotExist) {
		return c, fmt.Errorf("the lab has no container %q", name)
	}
	return c, err
}

func readJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// writeJSON replaces a file by a value as JSON.
func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return writeWhole(path, append(b, '\n'))
}

// writeWhole replaces a file at once, so that a reader never sees half of it.
func writeWhole(path string, b []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = tmp.Write(b)
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		os.Remove(tmp.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
