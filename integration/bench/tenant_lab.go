package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"

	"sluice/controller/client"
	"sluice/datapath/ovsrun"
	"sluice/flows"
	agentapi "sluice/hostagent/api"
	"sluice/integration/lab"
	"sluice/store"
	"sluice/store/etcd"
)

const (
	// labHosts is one more than a measured tenant has ports on.
	labHosts = 3
	// labPatience bounds each wait for the lab; it is far more than any takes.
	labPatience = 5 * time.Minute
	// changeTime bounds one transaction of a switch, of many bridges with hundreds present.
	changeTime = 2 * time.Minute
)

// labPrograms are what a case in a lab runs, and what the lab runs for it.
var labPrograms = []string{"ip", "ping", "nft", "ethtool",
	"ovsdb-tool", "ovsdb-server", "ovs-vswitchd", "ovs-vsctl", "ovs-ofctl", "ovs-appctl"}

// labRun is a case that runs in a lab of its own.
type labRun struct {
	*Run
	lab.Status
	api    *client.Client
	client *clientv3.Client
	store  *etcd.Client
	agents []*agentapi.Client // by host
}

// inLab raises a lab for a case, once no other is there, and removes it afterwards.
func inLab(ctx context.Context, r *Run, do func(*labRun) error) error {
	return inLabOf(ctx, r, lab.Options{Hosts: labHosts}, do)
}

// inLabOf is inLab with a lab of the caller's choice.
func inLabOf(ctx context.Context, r *Run, o lab.Options, do func(*labRun) error) (err error) {
	r.Step("waiting for the lab to be free")
	free, err := reserveLab(ctx)
	if err != nil {
		return err
	}
	defer free()
	defer func() { err = errors.Join(err, lab.Down(context.WithoutCancel(ctx))) }()
	r.Step("raising a lab of %d hosts", o.Hosts)
	o.Binary = r.Binary
	if err := lab.Up(ctx, o); err != nil {
		return err
	}
	l := &labRun{Run: r}
	defer l.hangUp()
	if err := l.connect(ctx); err != nil {
		return err
	}
	return do(l)
}

// raise starts again what of the lab has ended.
func (l *labRun) raise(ctx context.Context) error {
	return lab.Up(ctx, lab.Options{Hosts: len(l.Hosts), Binary: l.Binary})
}

// reserveLab waits for other benchmarks and tests to be done with theirs. A lab that is there
// nonetheless is somebody's, or left behind: it fails.
func reserveLab(ctx context.Context) (free func(), err error) {
	if free, err = lab.Reserve(ctx); err != nil {
		return nil, err
	}
	if _, err = lab.Load(ctx); errors.Is(err, lab.ErrNotRunning) {
		return free, nil
	}
	free()
	if err == nil {
		err = errors.New("a lab is running, and a machine has room for one: `sluice lab down` removes it")
	}
	return nil, err
}

func (l *labRun) connect(ctx context.Context) (err error) {
	if l.Status, err = lab.Load(ctx); err != nil {
		return err
	}
	if l.api, err = client.Dial(l.API, client.WithTokenFile(l.TokenFile)); err != nil {
		return err
	}
	if l.client, err = clientv3.New(clientv3.Config{Endpoints: []string{l.Etcd}, DialTimeout: labPatience}); err != nil {
		return err
	}
	if l.store, err = etcd.Connect(ctx, etcd.Options{Endpoints: []string{l.Etcd}, Log: l.Log}); err != nil {
		return err
	}
	for _, h := range l.Hosts {
		l.agents = append(l.agents, agentapi.Dial(filepath.Join(h.RunDir, "agent.sock")))
	}
	return nil
}

func (l *labRun) hangUp() {
	for _, a := range l.agents {
		a.Close()
	}
	if l.store != nil {
		l.store.Close()
	}
	if l.client != nil {
		l.client.Close()
	}
}

// realized waits until the hosts hold a revision.
func (l *labRun) realized(ctx context.Context, rev store.Revision, hosts []string) error {
	ctx, cancel := context.WithTimeout(ctx, labPatience)
	defer cancel()
	behind, err := l.store.WaitAll(ctx, hosts, rev, store.Key{})
	if err == nil && len(behind) > 0 {
		err = fmt.Errorf("not realized at revision %d: %s", rev, strings.Join(behind, ", "))
	}
	return err
}

// names are those of the lab's hosts.
func (l *labRun) names() []string {
	names := make([]string, len(l.Hosts))
	for i, h := range l.Hosts {
		names[i] = h.Name
	}
	return names
}

// container is a namespace without a network yet, under a name that goes with the lab.
type container struct{ name, netns string }

func newContainers(ctx context.Context, count int) ([]container, error) {
	list := make([]container, count)
	var lines []string
	for i := range list {
		name := fmt.Sprintf("bench-%d", i+1)
		list[i] = container{name: name, netns: lab.ContainerNS(name)}
		lines = append(lines, "netns add "+list[i].netns)
	}
	return list, ipBatch(ctx, lines...)
}

// attach gives a container a port on a host and returns its address, and the revision of the
// port once every host of its network holds it.
func (l *labRun) attach(ctx context.Context, host int, tenant string, c container) (agentapi.Attachment, error) {
	return l.attachAs(ctx, host, agentapi.AttachRequest{Tenant: tenant}, c)
}

// attachAs is attach with more of the request said.
func (l *labRun) attachAs(ctx context.Context, host int, wanted agentapi.AttachRequest, c container) (agentapi.Attachment, error) {
	wanted.Name, wanted.NetNS, wanted.ContainerID, wanted.Runtime = c.name, filepath.Join("/run/netns", c.netns), c.name, "bench"
	a, err := l.agents[host].Attach(ctx, wanted)
	if err == nil && len(a.Warnings) > 0 { // the agent waits for other hosts only for a while
		err = l.realized(ctx, store.Revision(a.Revision), l.names())
	}
	return a, err
}

func (l *labRun) detach(ctx context.Context, host int, tenant string, c container) error {
	return l.agents[host].Detach(ctx, agentapi.DetachRequest{Tenant: tenant, Name: c.name})
}

var cookieIn = regexp.MustCompile(`cookie=0x([0-9a-f]+)`)

// tenantFlows counts the flows of a tenant in a host's switch.
func (l *labRun) tenantFlows(ctx context.Context, host int, tenant uint32) (count int, err error) {
	cookies, err := l.cookies(ctx, host)
	for _, cookie := range cookies {
		if flows.Slice(cookie).Tenant() == tenant {
			count++
		}
	}
	return count, err
}

// cookies are those of all flows in a host's switch: 8 bits of kind, 24 of tenant, 32 of object.
func (l *labRun) cookies(ctx context.Context, host int) (list []uint64, err error) {
	text, err := l.Hosts[host].Switch().OFCtl(ctx, "dump-flows", store.BridgeName)
	if err != nil {
		return nil, err
	}
	for _, found := range cookieIn.FindAllStringSubmatch(text, -1) {
		cookie, err := strconv.ParseUint(found[1], 16, 64)
		if err != nil {
			return nil, err
		}
		list = append(list, cookie)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("host %s holds no flow", l.Hosts[host].Name)
	}
	return list, nil
}

// switchPorts are the containers' interfaces in a host's switch.
func (l *labRun) switchPorts(ctx context.Context, host int) (int, error) {
	ports, err := l.Hosts[host].ContainerPorts(ctx)
	return len(ports), err
}

// change returns when a host's switch has done what it was told.
func (l *labRun) change(ctx context.Context, host int, say func(*ovsrun.Change) error) error {
	ctx, cancel := context.WithTimeout(ctx, changeTime)
	defer cancel()
	return l.Hosts[host].Switch().Change(ctx, say)
}

// pingUntilAnswered sends an echo request every 10 ms until one is answered.
func pingUntilAnswered(ctx context.Context, netns, address string) error {
	_, err := output(ctx, "", "ip", "netns", "exec", netns, "ping", "-n", "-q", "-i", "0.01", "-c", "1", "-w", "20", address)
	return err
}

func ipBatch(ctx context.Context, lines ...string) error {
	_, err := output(ctx, strings.Join(lines, "\n")+"\n", "ip", "-batch", "-")
	return err
}

// output runs a command to its end and returns what it printed.
func output(ctx context.Context, input string, argv ...string) (string, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env, cmd.Stdin = os.Environ(), strings.NewReader(input)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)+string(out)))
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(argv[:min(len(argv), 8)], " "), err)
	}
	return string(out), nil
}

// sideBySide calls do for 0 to n-1 at once.
func sideBySide(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for i := range n {
		g.Go(func() error { return do(ctx, i) })
	}
	return g.Wait()
}

// until calls done every few milliseconds until it is nil or ctx ends.
func until(ctx context.Context, done func() error) error {
	for {
		err := done()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// plainAddress is an attachment's first address without its length.
func plainAddress(a agentapi.Attachment) string {
	if len(a.Addresses) == 0 {
		return "none"
	}
	address, _, _ := strings.Cut(a.Addresses[0], "/")
	return address
}
