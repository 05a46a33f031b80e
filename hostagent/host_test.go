package hostagent

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"sluice/datapath/ovsrun"
	"sluice/hostagent/api"
	"sluice/pki"
	"sluice/store"
	"sluice/store/etcd"
)

// patience bounds every wait; it is far more than any takes.
const patience = 30 * time.Second

// host is a machine for an agent: Open vSwitch, an underlay, an etcd, in the test's namespace.
type host struct {
	t         *testing.T
	dir       string
	client    *etcd.Client
	server    *etcd.Embedded
	endpoints []string
	vswitchd  *exec.Cmd
	options   Options
}

func newHost(t *testing.T) *host {
	t.Helper()
	requireOVS(t)
	dir, err := os.MkdirTemp("", "sluice-ha-") // t.TempDir is too long a path for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	h := &host{t: t, dir: dir}
	removeLeftLinks(t) // which the agent would take for containers of another store
	h.startUnderlay()
	h.startStore()
	h.startSwitch()
	h.options = Options{
		Host: "h1", VTEP: netip.MustParseAddr("172.30.0.1"), Encap: "geneve", DatapathType: "netdev",
		OVSDB: "unix:" + h.path("db.sock"), RunDir: dir, Controllers: []string{"tcp:127.0.0.1:6653"},
		Socket: h.path("agent.sock"), StateDir: h.path("state"), Uplink: "under0", Gateway: true,
		Infrastructure: prefixes("192.0.2.0/24"), Tables: map[int]string{0: "classify"},
		Store: h.client, Log: h.log(), Identity: h.identity(),
	}
	return h
}

// removeLeftLinks removes links of containers from the namespace that all tests share: those that a test left which failed, and
// those whose container's end goes with a namespace that the kernel has not cleared yet.
func removeLeftLinks(t *testing.T) {
	links, err := netlink.LinkList()
	if err != nil {
		t.Error(err)
	}
	for _, l := range links {
		if strings.HasPrefix(l.Attrs().Name, interfacePrefix) {
			_ = netlink.LinkDel(l) // it may go by itself meanwhile
		}
	}
}

// identity makes an authority, and the host's certificate from it.
func (h *host) identity() *pki.Source {
	h.t.Helper()
	authority, err := pki.CreateAuthority(h.path("pki"))
	if err == nil {
		err = authority.Issue(h.path("pki"), pki.Host("h1"), nil, pki.Lifetime)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	s, err := pki.Open(h.path("pki"), pki.Host("h1"), h.log())
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

func requireOVS(t *testing.T) {
	t.Helper()
	why := ""
	if os.Getenv(envNamespace) == "" {
		why = "needs root, and the right to make network namespaces"
	}
	for _, name := range []string{"ovsdb-tool", "ovsdb-server", "ovs-vswitchd", "ovs-vsctl", "nft", "ip"} {
		if _, err := exec.LookPath(name); err != nil {
			why = "needs Open vSwitch, nftables and iproute2: " + err.Error()
		}
	}
	if why == "" {
		return
	}
	if os.Getenv("SLUICE_REQUIRE_OVS") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func (h *host) path(name string) string { return filepath.Join(h.dir, name) }

func (h *host) log() *slog.Logger {
	return slog.New(slog.NewTextHandler(h.t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
}

// clearTables removes the agent's nftables tables: what another test left would be taken for this
// one's.
func (h *host) clearTables() {
	for _, name := range []string{tableName, limitsTable} {
		h.run("nft", "add table inet "+name+"; delete table inet "+name)
	}
}

func (h *host) startUnderlay() {
	h.clearTables()
	h.t.Cleanup(h.clearTables)
	h.run("ip", "link", "add", "under0", "type", "veth", "peer", "name", "under1")
	h.t.Cleanup(func() { h.run("ip", "link", "del", "under0") })
	h.run("ip", "addr", "add", "172.30.0.1/24", "dev", "under0")
	h.run("ip", "link", "set", "under0", "up")
	h.run("ip", "link", "set", "under1", "up")
}

func (h *host) startStore() {
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	h.serveStore(ctx)
	h.t.Cleanup(func() { h.server.Close() })
	h.endpoints = h.server.Endpoints()
	var err error
	h.client, err = etcd.Connect(ctx, etcd.Options{Endpoints: h.endpoints})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { h.client.Close() })
	h.put(store.IdentityKey(), &store.Identity{ID: "the-right-one"})
	for _, spec := range []store.TenantSpec{
		{Name: "alice", Gateway: store.GatewayAuto, Segmentation: store.SegmentationTunnel, Subnets: prefixes("10.0.0.0/24", "fd00:a::/64")},
		{Name: "bob", Gateway: store.GatewayAuto, Segmentation: store.SegmentationVLAN, Subnets: prefixes("10.0.0.0/24")},
	} {
		if _, err := h.client.CreateTenant(ctx, spec); err != nil {
			h.t.Fatal(err)
		}
	}
}

// peerURL is the embedded etcd's.
const peerURL = "http://127.0.0.1:2380"

// serveStore starts etcd, also again on what an earlier one wrote.
func (h *host) serveStore(ctx context.Context) { h.serveStoreOf(ctx, "etcd") }

// serveStoreOf starts the etcd of one of the host's directories, after the one before has ended.
func (h *host) serveStoreOf(ctx context.Context, dir string) {
	var err error
	h.server, err = etcd.StartEmbedded(ctx, etcd.EmbedOptions{
		Name: "test", Dir: h.path(dir), ClientURL: "http://127.0.0.1:2379", PeerURL: peerURL,
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) startSwitch() {
	if err := ovsrun.CreateDatabase(h.t.Context(), h.path("conf.db")); err != nil {
		h.t.Fatal(err)
	}
	h.spawn("db.sock", "ovsdb-server", h.path("conf.db"), "--remote=punix:"+h.path("db.sock"), "--pidfile", "-vconsole:off")
	h.vsctl("--no-wait", "init")
	h.t.Cleanup(func() { // after the switch has ended: its devices outlive it
		for _, name := range []string{store.GatewayInterface, store.BridgeName, "ovs-netdev"} {
			if err := deleteLink(name); err != nil {
				h.t.Error(err)
			}
		}
	})
	h.startVSwitchd()
}

func (h *host) startVSwitchd() {
	h.vswitchd = h.spawn("ovs-vswitchd.pid", "ovs-vswitchd", "unix:"+h.path("db.sock"), "--disable-system", "--pidfile", "-vconsole:off")
}

// spawn starts a daemon that ends with the test and waits for its file.
func (h *host) spawn(file string, name string, args ...string) *exec.Cmd {
	h.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+h.dir, "OVS_LOGDIR="+h.dir)
	startChild(h.t, cmd)
	h.eventually(name+" runs", func() bool {
		_, err := os.Stat(h.path(file))
		return err == nil
	})
	return cmd
}

// startChild starts a process that dies with the test, also when the test crashes.
func startChild(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	started := make(chan error)
	quit := make(chan struct{})
	go func() {
		runtime.LockOSThread() // Pdeathsig follows the thread
		started <- cmd.Start()
		<-quit
		runtime.UnlockOSThread()
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		kill(cmd)
		close(quit)
	})
}

func kill(cmd *exec.Cmd) {
	cmd.Process.Kill()
	cmd.Wait()
}

func (h *host) run(name string, args ...string) string {
	h.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+h.dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		h.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// ovs is the host's switch, to look at it and to break it.
func (h *host) ovs() ovsrun.Switch { return ovsrun.Switch{Dir: h.dir} }

func (h *host) vsctl(args ...string) string {
	h.t.Helper()
	out, err := h.ovs().VSCtl(h.t.Context(), args...)
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

// deletePort takes an interface from the switch behind the agent's back.
func (h *host) deletePort(iface string) {
	h.t.Helper()
	if err := h.ovs().Client(h.t.Context()).VSwitch.DeletePort(store.BridgeName, iface); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) eventually(what string, holds func() bool) {
	h.t.Helper()
	eventually(h.t, what, holds)
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// realizeAll writes what a controller writes when it has programmed everything.
func (h *host) realizeAll() {
	h.t.Helper()
	h.put(store.MasterKey("h1"), &store.Master{Controller: "c1", Generation: 1})
	h.put(store.StatusControllerKey("c1"), &store.StatusController{Floor: 1 << 40})
}

func (h *host) tenant(name string) *store.Tenant {
	h.t.Helper()
	o, _, err := h.client.Get(h.t.Context(), store.TenantKey(name))
	if err != nil {
		h.t.Fatal(err)
	}
	return o.(*store.Tenant)
}

func (h *host) put(key store.Key, o store.Object) {
	h.t.Helper()
	_, modified, err := h.client.Get(h.t.Context(), key)
	if err == nil {
		_, err = h.client.PutIf(h.t.Context(), key, o, modified, 0)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// agent runs an agent in this process until stop is called or the test ends.
func (h *host) agent() (a *Agent, c *api.Client, stop func()) {
	h.t.Helper()
	return h.agentWith(func(*Agent) {})
}

// agentWith runs one that was changed before it ran.
func (h *host) agentWith(change func(*Agent)) (a *Agent, c *api.Client, stop func()) {
	h.t.Helper()
	a, c, stop = h.startWith(change)
	h.eventually("the agent is ready", func() bool { return a.registration.ready() != nil })
	return a, c, stop
}

// start runs an agent that need not become ready. It has a client of its own, as the test's must
// see also what the agent does not believe.
func (h *host) start() (a *Agent, c *api.Client, stop func()) {
	h.t.Helper()
	return h.startWith(func(*Agent) {})
}

func (h *host) startWith(change func(*Agent)) (a *Agent, c *api.Client, stop func()) {
	h.t.Helper()
	client, err := etcd.Open(h.t.Context(), etcd.Options{Endpoints: h.endpoints})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { client.Close() })
	o := h.options
	o.Store = client
	a, err = New(o)
	if err != nil {
		h.t.Fatal(err)
	}
	change(a)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			h.t.Errorf("agent: %v", err)
		}
	}
	h.t.Cleanup(stop)
	c = h.dial()
	h.eventually("the agent answers", func() bool { _, err := c.Status(h.t.Context()); return err == nil })
	return a, c, stop
}

// process runs an agent as a process of its own, to be killed.
func (h *host) process() (cmd *exec.Cmd, stderr *bytes.Buffer) {
	h.t.Helper()
	return h.processUntil("")
}

// processUntil runs one that is killed at a step.
func (h *host) processUntil(end step) (cmd *exec.Cmd, stderr *bytes.Buffer) {
	h.t.Helper()
	o := agentOptions{Options: h.options, Endpoints: h.endpoints, KillAt: string(end)}
	o.Store, o.Log, o.Identity = nil, nil, nil // a certificate is no text: the switch keeps what it has
	text, err := json.Marshal(o)
	if err != nil {
		h.t.Fatal(err)
	}
	cmd, stderr = exec.Command("/proc/self/exe"), new(bytes.Buffer)
	cmd.Env = append(os.Environ(), envAgent+"="+string(text))
	cmd.Stderr = stderr
	startChild(h.t, cmd)
	return cmd, stderr
}

func (h *host) dial() *api.Client {
	c := api.Dial(h.options.Socket)
	h.t.Cleanup(c.Close)
	return c
}

// container is a network namespace that lives as long as its process.
type container struct {
	t   *testing.T
	cmd *exec.Cmd
}

func newContainer(t *testing.T) *container {
	t.Helper()
	cmd := exec.Command("sleep", "infinity")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	startChild(t, cmd)
	return &container{t, cmd}
}

func (c *container) netns() string { return fmt.Sprintf("/proc/%d/ns/net", c.cmd.Process.Pid) }

func (c *container) run(args ...string) string {
	c.t.Helper()
	out, err := exec.Command("nsenter", append([]string{"--net=" + c.netns(), "--"}, args...)...).CombinedOutput()
	if err != nil {
		c.t.Fatalf("in the container: %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// tracesOfPort are those of one port that is whole: its key, its link, its row.
const tracesOfPort = 3

// traces are what a host holds of its ports, anywhere.
func (h *host) traces() []string {
	h.t.Helper()
	links, err := portLinks()
	if err != nil {
		h.t.Fatal(err)
	}
	var all []string
	for name := range links {
		all = append(all, "link "+name)
	}
	for _, name := range strings.Fields(h.vsctl("--bare", "--columns=name", "find", "interface", "external_ids:sluice-uid!=x")) {
		all = append(all, "row "+name)
	}
	ports, _, err := h.client.List(h.t.Context(), store.KindPort)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, e := range ports {
		all = append(all, "key "+e.Key.Short())
	}
	intents, err := os.ReadDir(h.path("state/attaching"))
	if err != nil {
		h.t.Fatal(err)
	}
	for _, f := range intents {
		all = append(all, "intent "+f.Name())
	}
	slices.Sort(all)
	return all
}

// deleteKey deletes a key behind everybody's back, as an operator does with etcdctl.
func (h *host) deleteKey(key store.Key) {
	h.t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: h.endpoints, Logger: zap.NewNop()})
	if err != nil {
		h.t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Delete(h.t.Context(), key.String()); err != nil {
		h.t.Fatal(err)
	}
}

// deletePortKey deletes a port of alice's so.
func (h *host) deletePortKey(name string) {
	h.t.Helper()
	h.deleteKey(store.PortKey("h1", "alice", store.DefaultNetwork, name))
}

// spoil writes what nobody can read over one of alice's ports.
func (h *host) spoil(name string) {
	h.t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: h.endpoints, Logger: zap.NewNop()})
	if err != nil {
		h.t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Put(h.t.Context(), store.PortKey("h1", "alice", store.DefaultNetwork, name).String(), "rubbish"); err != nil {
		h.t.Fatal(err)
	}
}

// port is one of alice's ports in etcd.
func (h *host) port(name string) *store.Port {
	h.t.Helper()
	o, _, err := h.client.Get(h.t.Context(), store.PortKey("h1", "alice", store.DefaultNetwork, name))
	if err != nil || o == nil {
		h.t.Fatalf("port %s: %v, %v", name, o, err)
	}
	return o.(*store.Port)
}
