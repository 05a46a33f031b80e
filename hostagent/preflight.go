package hostagent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sluice/datapath/ovsdb"
	"sluice/store"
)

// Finding is one line of the preflight: one thing that a host needs.
type Finding struct {
	Name string // what was looked at, such as "nftables"
	Says string // what was found
	Err  error  // nil: the host has it
}

func (f Finding) String() string {
	if f.Err != nil {
		return fmt.Sprintf("%s: lacking: %v", f.Name, f.Err)
	}
	return fmt.Sprintf("%s: %s", f.Name, f.Says)
}

// preflight looks whether a host has what the agent and the flows need. It makes things where
// that is the only way to know, and removes them again: a bridge without ports, and an nftables
// table that takes no packet.
type preflight struct {
	o        Options
	underlay *underlay
}

// checks are all that a host must have before it is registered, in the order in which the preflight tells of it. A trunk is
// not among them: without one VLAN networks go by tunnels.
func (p preflight) checks() []check {
	return []check{
		{"privileges", p.privileges},
		{"nftables", p.nftables},
		{"tunnel address", p.tunnelAddress},
		{"MTU", p.mtu},
		{"Open vSwitch", p.version},
		{"database", p.database},
		{"datapath", p.datapath},
		{"names", p.names},
	}
}

type check struct {
	name string
	look func(context.Context) (says string, err error)
}

// checkTimeout bounds one check.
const checkTimeout = 5 * time.Second

// Check says what this host has and lacks of what an agent with these options needs. It needs no
// etcd, and changes nothing that lasts.
func Check(ctx context.Context, o Options) []Finding {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := preflight{o, &underlay{vtep: o.VTEP, encap: o.Encap}}
	all := look(ctx, p.checks())
	if o.Trunk != "" {
		all = append(all, look(ctx, []check{{"trunk", p.trunk}})...)
	}
	return all
}

// look looks at each thing, one after the other.
func look(ctx context.Context, checks []check) []Finding {
	var all []Finding
	for _, c := range checks {
		ctx, cancel := context.WithTimeout(ctx, checkTimeout)
		says, err := c.look(ctx)
		cancel()
		all = append(all, Finding{Name: c.name, Says: says, Err: err})
	}
	return all
}

// capabilities are what the agent needs of capabilities(7).
var capabilities = []struct {
	bit  int
	name string
	why  string
}{
	{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN", "interfaces, routes and nftables"},
	{unix.CAP_NET_RAW, "CAP_NET_RAW", "asking for the MAC addresses of other hosts"},
	{unix.CAP_SYS_ADMIN, "CAP_SYS_ADMIN", "entering the network namespaces of containers"},
	{unix.CAP_SYS_PTRACE, "CAP_SYS_PTRACE", "finding those of other users' containers"},
}

func (p preflight) privileges(context.Context) (string, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return "", fmt.Errorf("read capabilities: %w", err)
	}
	var lacking, has []string
	for _, c := range capabilities {
		if data[0].Effective&(1<<c.bit) == 0 {
			lacking = append(lacking, c.name+" ("+c.why+")")
		}
		has = append(has, c.name)
	}
	if len(lacking) > 0 {
		return "", fmt.Errorf("%s: run the agent as root, or give it these", strings.Join(lacking, ", "))
	}
	return strings.Join(has, ", "), nil
}

// probeTable is the table of the preflight. A dormant one takes no packet.
const probeTable = tableName + "-check"

// nftables gives the kernel all that our own table may hold.
func (p preflight) nftables(ctx context.Context) (string, error) {
	r := ruleset{frame: frame{
		gateway: p.o.Gateway, transit: store.DefaultTransit, uplinks: []string{"lo"}, encap: p.o.Encap, vtep: p.o.VTEP, underlay: "lo", peers: true,
	}}
	text := strings.ReplaceAll(r.text(), "inet "+tableName+" ", "inet "+probeTable+" ")
	_, rules, _ := strings.Cut(text, "\nadd table inet "+tableName+"\n") // without the three lines that empty it
	script := "add table inet " + probeTable + "\ndelete table inet " + probeTable +
		"\nadd table inet " + probeTable + " { flags dormant ; }\n" + rules
	nft := func(script string) error {
		cmd := exec.CommandContext(ctx, "nft", "-f", "-")
		cmd.Stdin = strings.NewReader(script)
		out, err := cmd.CombinedOutput()
		if first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n"); err != nil && first != "" {
			return fmt.Errorf("%w: %s", err, first)
		}
		return err
	}
	switch err := nft(script); {
	case errors.Is(err, exec.ErrNotFound):
		return "", fmt.Errorf("%w: install nftables", err)
	case err != nil:
		return "", fmt.Errorf("the kernel or nft refuses the agent's rules: %w: it needs CAP_NET_ADMIN, and the kernel's nf_tables with NAT", err)
	}
	return "takes the agent's rules", nft("delete table inet " + probeTable)
}

func (p preflight) tunnelAddress(ctx context.Context) (string, error) {
	found, err := p.underlay.is(ctx)
	if err == nil {
		err = p.underlay.makeSo(ctx, p.o.VTEP, found)
	}
	if err != nil {
		return "", fmt.Errorf("%w: give it to one, or name one of the host's with --vtep", err)
	}
	return fmt.Sprintf("%s on %s", p.o.VTEP, found.name), nil
}

// mtu looks whether containers can have an address in every network.
func (p preflight) mtu(context.Context) (string, error) {
	under := p.underlay.known().mtu
	if under == 0 {
		return "", errors.New("not known without the interface of the tunnel address")
	}
	mtu := p.underlay.containerMTU(store.SegmentationVLAN)
	switch {
	case mtu < store.MinMTU:
		return "", fmt.Errorf("the underlay's %d leaves containers %d: IPv4 needs %d, so give the underlay %d or more",
			under, mtu, store.MinMTU, under+store.MinMTU-mtu)
	case mtu < store.MinMTUv6:
		return fmt.Sprintf("the underlay's %d leaves containers %d: too small for IPv6, which needs %d", under, mtu, store.MinMTUv6), nil
	}
	return fmt.Sprintf("the underlay's %d leaves containers %d or more", under, mtu), nil
}

// leastVersion is the oldest Open vSwitch that is tested.
var leastVersion = []int{3, 1}

var versionText = regexp.MustCompile(`(\d+)\.(\d+)(\.\d+)*`)

func (p preflight) version(ctx context.Context) (string, error) {
	text, err := p.ask(ctx, "version")
	if err != nil {
		return "", fmt.Errorf("%w: install it (openvswitch-switch on Debian), or start its ovs-vswitchd; $OVS_RUNDIR says where its sockets are, if elsewhere", err)
	}
	return supported(text)
}

// supported reads the version of Open vSwitch as ovs-vswitchd tells it.
func supported(text string) (string, error) {
	found := versionText.FindStringSubmatch(text)
	if found == nil {
		return "", fmt.Errorf("its version %q is no version", text)
	}
	major, _ := strconv.Atoi(found[1])
	minor, _ := strconv.Atoi(found[2])
	if slices.Compare([]int{major, minor}, leastVersion) < 0 {
		return "", fmt.Errorf("version %s runs, and %d.%d is needed: install that or a later one", found[0], leastVersion[0], leastVersion[1])
	}
	return "version " + found[0], nil
}

// ask runs one command of ovs-vswitchd and gives back what it says.
func (p preflight) ask(ctx context.Context, method string, params ...string) (string, error) {
	c, err := dialSwitch(ctx, p.o.RunDir)
	if err != nil {
		return "", err
	}
	defer c.close()
	return c.ask(method, params...)
}

func (p preflight) database(ctx context.Context) (string, error) {
	db, err := ovsdb.Dial(ctx, p.o.OVSDB, p.o.Log)
	if err != nil {
		return "", fmt.Errorf("%w: start ovsdb-server, or say with --ovsdb where it listens", err)
	}
	db.Close()
	return "answers at " + p.o.OVSDB, nil
}

// trunk looks whether the interface may be taken into the bridge, as the keeper does that does it.
func (p preflight) trunk(ctx context.Context) (string, error) {
	db, err := ovsdb.Dial(ctx, p.o.OVSDB, p.o.Log)
	if err != nil {
		return "", fmt.Errorf("trunk %s: not looked at without the switch's database: %w", p.o.Trunk, err)
	}
	defer db.Close()
	if _, err := usableTrunk(ctx, db, p.o, p.underlay); err != nil {
		return "", err
	}
	return p.o.Trunk + " can carry VLAN networks", nil
}
