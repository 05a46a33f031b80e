package hostagent

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/store"
)

// cni is the plugin, run as a container runtime runs it.
type cni struct {
	t      *testing.T
	binary string
	h      *host
	ifName string
}

func buildCNI(t *testing.T, h *host) cni {
	t.Helper()
	binary := h.path("sluice-cni")
	h.run("go", "build", "-o", binary, "sluice/cmd/sluice-cni")
	return cni{t, binary, h, "eth0"}
}

// call runs a command for a container; more is added to the network configuration.
func (p cni) call(command, id string, box *container, more map[string]any) (string, error) {
	conf := map[string]any{
		"cniVersion": "1.1.0", "name": "shop", "type": "sluice", "tenant": "alice", "socket": p.h.options.Socket,
		"patience": "500ms",
	}
	for k, v := range more {
		conf[k] = v
	}
	stdin, err := json.Marshal(conf)
	if err != nil {
		p.t.Fatal(err)
	}
	cmd := exec.Command(p.binary)
	cmd.Env = []string{"CNI_COMMAND=" + command, "CNI_PATH=/opt/cni/bin"}
	if id != "" {
		cmd.Env = append(cmd.Env, "CNI_CONTAINERID="+id, "CNI_IFNAME="+p.ifName, "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAME=web-0")
	}
	if box != nil {
		cmd.Env = append(cmd.Env, "CNI_NETNS="+box.netns())
	}
	cmd.Stdin = strings.NewReader(string(stdin))
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (p cni) must(command, id string, box *container, more map[string]any) string {
	p.t.Helper()
	out, err := p.call(command, id, box, more)
	if err != nil {
		p.t.Fatalf("CNI %s: %v\n%s", command, err, out)
	}
	return out
}

func TestCNI(t *testing.T) {
	h := newHost(t)
	plugin := buildCNI(t, h)
	if out, err := plugin.call("STATUS", "", nil, nil); err == nil {
		t.Errorf("STATUS without an agent succeeded: %s", out)
	}
	h.realizeAll()
	h.agent()
	empty := h.traces()
	plugin.must("STATUS", "", nil, nil)

	box := newContainer(t)
	answer := plugin.must("ADD", "c1", box, map[string]any{"runtimeConfig": map[string]any{"ips": []string{"10.0.0.77/24"}}})
	expectIn(t, "answer to ADD", answer, `"address": "10.0.0.77/24"`, `"gw": "10.0.0.1"`, `"sandbox": "`+box.netns()+`"`)
	expectIn(t, "container's interface", box.run("ip", "addr", "show", "dev", "eth0"), "10.0.0.77/24", "mtu 1450")
	var before map[string]any
	if err := json.Unmarshal([]byte(answer), &before); err != nil {
		t.Fatal(err)
	}
	plugin.must("CHECK", "c1", box, map[string]any{"prevResult": before})
	wrong := strings.ReplaceAll(answer, "10.0.0.77", "10.0.0.78")
	if out, err := plugin.call("CHECK", "c1", box, map[string]any{"prevResult": json.RawMessage(wrong)}); err == nil {
		t.Errorf("CHECK with another address succeeded: %s", out)
	}
	plugin.noticesChanges(box, before)
	out, err := plugin.call("ADD", "c2", newContainer(t), map[string]any{"tenant": "carol"})
	if err == nil || !strings.Contains(out, "network carol/default does not exist") {
		t.Errorf("ADD for an unknown tenant: %v, %s", err, out)
	}

	routed := newContainer(t)
	plugin.must("ADD", "c3", routed, map[string]any{"mtu": 1400, "routes": []any{map[string]string{"dst": "10.8.0.0/16"}}})
	expectIn(t, "interface with an MTU of its own", routed.run("ip", "link", "show", "dev", "eth0"), "mtu 1400")
	if got := routed.run("ip", "route"); !strings.Contains(got, "10.8.0.0/16 via 10.0.0.1") || strings.Contains(got, "default") {
		t.Errorf("routes of its own: %s", got)
	}
	plugin.must("DEL", "c3", nil, nil)
	plugin.must("ADD", "c4", newContainer(t), map[string]any{"runtimeConfig": map[string]any{
		"bandwidth":    map[string]any{"ingressRate": 8_000_000, "ingressBurst": 9_000_000, "egressRate": 4_000_000},
		"portMappings": []any{map[string]any{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}},
	}})
	h.hasPort(func(p *store.Port) bool {
		return p.Limits == store.PortLimits{IngressKbps: 8000, IngressBurst: 9000, EgressKbps: 4000} &&
			slices.Equal(p.Publish, []store.PortPublication{{Protocol: store.ProtocolTCP, First: 80, On: 8080, Count: 1}})
	})
	plugin.must("DEL", "c4", nil, nil)

	valid := []any{map[string]string{"containerID": "c1", "ifname": "eth0"}}
	plugin.must("ADD", "lost", newContainer(t), nil)
	plugin.must("GC", "", nil, map[string]any{"cni.dev/valid-attachments": valid})
	if links, err := portLinks(); err != nil || len(links) != 1 {
		t.Errorf("after GC: interfaces %v, error %v; want that of c1 alone", links, err)
	}
	// A DEL that comes late removes neither another container's port nor that of a later start of the same one.
	plugin.must("DEL", "c1", nil, map[string]any{"prevResult": json.RawMessage(strings.ReplaceAll(answer, `"sl-`, `"sl-x`))})
	if links, err := portLinks(); err != nil || len(links) != 1 {
		t.Errorf("after a late DEL: interfaces %v, error %v; want that of c1", links, err)
	}
	plugin.must("DEL", "c1", nil, map[string]any{"prevResult": before})
	if diff := cmp.Diff(empty, h.traces()); diff != "" {
		t.Errorf("after DEL with what ADD answered: -want +got\n%s", diff)
	}
	plugin.must("ADD", "c1", newContainer(t), nil)
	for range 2 { // a runtime may repeat it
		plugin.must("DEL", "c1", nil, nil)
	}
	if diff := cmp.Diff(empty, h.traces()); diff != "" {
		t.Errorf("after DEL: -want +got\n%s", diff)
	}
	expectIn(t, "VERSION", plugin.must("VERSION", "", nil, nil), fmt.Sprintf("%q", "1.0.0"))
}

// hasPort looks for a port in etcd.
func (h *host) hasPort(is func(*store.Port) bool) {
	h.t.Helper()
	ports, _, err := h.client.List(h.t.Context(), store.KindPort)
	if err != nil || !slices.ContainsFunc(ports, func(e store.Event) bool { return is(e.Object.(*store.Port)) }) {
		h.t.Errorf("the port that was asked for is not among %+v: %v", ports, err)
	}
}

// noticesChanges spoils the container's interface in each way that CHECK looks for, and mends it.
func (p cni) noticesChanges(box *container, before map[string]any) {
	p.t.Helper()
	for _, c := range []struct{ says, spoil, mend string }{
		{"interface eth0 of the container: Link not found", "ip link set eth0 down name gone", "ip link set gone down name eth0 up"},
		{"is down", "ip link set eth0 down", "ip link set eth0 up"},
		{"lacks address 10.0.0.77/24", "ip address del 10.0.0.77/24 dev eth0", "ip address add 10.0.0.77/24 dev eth0"},
		{"has MAC 02:00:00:00:00:99, not ", "ip link set eth0 address 02:00:00:00:00:99", ""},
	} {
		box.run("sh", "-c", c.spoil)
		out, err := p.call("CHECK", "c1", box, map[string]any{"prevResult": before})
		if err == nil || !strings.Contains(out, c.says) {
			p.t.Errorf("CHECK after %s: %v, want %q\n%s", c.spoil, err, c.says, out)
		}
		box.run("sh", "-c", c.mend)
	}
}

// Each refusal has the code that a runtime acts upon (CNI, section 5), and leaves nothing.
func TestCNIRefusals(t *testing.T) {
	h := newHost(t)
	plugin := buildCNI(t, h)
	refused := func(code int, says string, more map[string]any) {
		t.Helper()
		out, err := plugin.call("ADD", "c1", newContainer(t), more)
		var answer struct {
			Code    int
			Msg     string
			Details string
		}
		if err == nil || json.Unmarshal([]byte(out), &answer) != nil || answer.Code != code || !strings.Contains(answer.Msg, says) {
			t.Errorf("ADD with %v: %v, want code %d and %q\n%s", more, err, code, says, out)
		}
	}
	asking := func(config map[string]any) map[string]any { return map[string]any{"runtimeConfig": config} }
	const tryAgainLater, invalidConfig = 11, 7
	refused(tryAgainLater, "is sluice agent running?", nil)
	h.realizeAll()
	h.agent()
	empty := h.traces()
	refused(invalidConfig, "only tcp and udp can be published", asking(map[string]any{"portMappings": []any{map[string]any{"hostPort": 80, "containerPort": 80, "protocol": "sctp"}}}))
	refused(invalidConfig, "is for the tunnels", asking(map[string]any{"portMappings": []any{map[string]any{"hostPort": 4789, "containerPort": 80, "protocol": "udp"}}}))
	refused(invalidConfig, `unknown key "net-work"`, map[string]any{"net-work": "db"})
	refused(invalidConfig, `patience "soon": write it as 20s`, map[string]any{"patience": "soon"})
	refused(invalidConfig, "names no tenant", map[string]any{"tenant": ""})
	refused(invalidConfig, "it is in no subnet", asking(map[string]any{"ips": []string{"192.0.2.1/24"}}))
	refused(invalidConfig, "both are of 10.0.0.0/24", asking(map[string]any{"ips": []string{"10.0.0.8/24", "10.0.0.9/24"}}))
	refused(invalidConfig, "is no IP address", asking(map[string]any{"ips": []string{"ten"}}))
	refused(invalidConfig, "MAC 02:00:5e:00:01:01 is reserved", asking(map[string]any{"mac": "02:00:5e:00:01:01"}))
	if diff := cmp.Diff(empty, h.traces()); diff != "" {
		t.Errorf("refused requests left: -want +got\n%s", diff)
	}
}

// A container may have interfaces in two networks, and two hundred may come at once.
func TestCNICrowd(t *testing.T) {
	h := newHost(t)
	plugin := buildCNI(t, h)
	h.realizeAll()
	h.agent()
	empty := h.traces()
	box := newContainer(t)
	plugin.must("ADD", "twice", box, nil)
	second := plugin
	second.ifName = "net1"
	second.must("ADD", "twice", box, map[string]any{"tenant": "bob", "name": "office"})
	expectIn(t, "container's interfaces", box.run("ip", "-brief", "link"), "eth0@", "net1@")

	const crowd = 200
	answers := make(chan string, crowd)
	var g sync.WaitGroup
	for i := range crowd {
		box := newContainer(t)
		g.Go(func() {
			out, err := plugin.call("ADD", fmt.Sprint("crowd-", i), box, nil)
			if err != nil {
				t.Errorf("ADD %d: %v\n%s", i, err, out)
			}
			answers <- out
		})
	}
	g.Wait()
	close(answers)
	taken := map[string]bool{}
	for out := range answers {
		var answer struct{ IPs []struct{ Address string } }
		if err := json.Unmarshal([]byte(out), &answer); err != nil || len(answer.IPs) != 2 {
			t.Fatalf("an answer without an address of each family: %v\n%s", err, out)
		}
		taken[answer.IPs[0].Address] = true
	}
	if len(taken) != crowd {
		t.Errorf("%d containers have %d addresses", crowd, len(taken))
	}
	for i := range crowd {
		plugin.must("DEL", fmt.Sprint("crowd-", i), nil, nil)
	}
	plugin.must("DEL", "twice", nil, nil)
	second.must("DEL", "twice", nil, map[string]any{"tenant": "bob", "name": "office"})
	if diff := cmp.Diff(empty, h.traces()); diff != "" {
		t.Errorf("after all are gone: -want +got\n%s", diff)
	}
}

// A sticky container's name, MAC and addresses are the next one's that the runtime calls so, whatever its id.
func TestCNISticky(t *testing.T) {
	h := newHost(t)
	plugin := buildCNI(t, h)
	h.realizeAll()
	h.agent()
	empty := h.traces()
	sticky := map[string]any{"sticky": true}
	end := func(id string) (addresses []string, mac string) {
		t.Helper()
		var answer struct {
			IPs        []struct{ Address string }
			Interfaces []struct{ Mac, Sandbox string }
		}
		if err := json.Unmarshal([]byte(plugin.must("ADD", id, newContainer(t), sticky)), &answer); err != nil || len(answer.Interfaces) != 2 {
			t.Fatalf("%+v, %v", answer, err)
		}
		for _, ip := range answer.IPs {
			addresses = append(addresses, ip.Address)
		}
		return addresses, answer.Interfaces[1].Mac
	}
	was, mac := end("c1")
	h.port("web-0") // as the runtime calls the container
	plugin.must("DEL", "c1", nil, sticky)
	if diff := cmp.Diff(empty, h.traces()); diff != "" {
		t.Errorf("after DEL: -want +got\n%s", diff)
	}
	is, again := end("c2")
	if diff := cmp.Diff(was, is); diff != "" || mac != again {
		t.Errorf("MAC %s, then %s; addresses -was +is\n%s", mac, again, diff)
	}
	plugin.must("DEL", "c1", nil, sticky) // late: the name is another container's now
	h.port("web-0")
	plugin.must("DEL", "c2", nil, sticky)
}

// cnitool is the tool of the CNI project, in a folder with lists of its own.
type cnitool struct {
	t      *testing.T
	plugin cni
	binary string
}

func buildCNITool(t *testing.T, plugin cni) cnitool {
	t.Helper()
	binary := plugin.h.path("cnitool")
	plugin.h.run("go", "build", "-o", binary, "github.com/containernetworking/cni/cnitool")
	return cnitool{t, plugin, binary}
}

// list writes a network list in which plugins stand around ours.
func (c cnitool) list(name, version string, around ...string) {
	c.t.Helper()
	ours := fmt.Sprintf(`{"type": "sluice-cni", "tenant": "alice", "socket": %q, "capabilities": {"ips": true}}`, c.plugin.h.options.Socket)
	plugins := strings.ReplaceAll(strings.Join(around, ", "), "OURS", ours)
	text := fmt.Sprintf(`{"cniVersion": %q, "name": %q, "plugins": [%s]}`, version, name, plugins)
	if err := os.WriteFile(c.plugin.h.path(name+".conflist"), []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

func (c cnitool) run(command, list string, box *container) (string, error) {
	cmd := exec.Command(c.binary, command, list, box.netns())
	cmd.Env = append(os.Environ(), "NETCONFPATH="+c.plugin.h.dir, "CNI_PATH="+filepath.Dir(c.plugin.binary)+":/usr/lib/cni",
		"CNI_IFNAME=eth0", `CAP_ARGS={"ips": ["10.0.0.77/24"]}`)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (c cnitool) must(command, list string, box *container) string {
	c.t.Helper()
	out, err := c.run(command, list, box)
	if err != nil {
		c.t.Fatalf("cnitool %s %s: %v\n%s", command, list, err, out)
	}
	return out
}

// All of CNI 1.1 by the CNI project's own tool, and 1.0.0 with other plugins before and after:
// Debian's know no newer version.
func TestCNITool(t *testing.T) {
	h := newHost(t)
	tool := buildCNITool(t, buildCNI(t, h))
	h.realizeAll()
	_, _, stop := h.agent()
	empty := h.traces()
	box := newContainer(t)
	tool.list("chained", "1.0.0", `{"type": "loopback"}`, "OURS", `{"type": "tuning", "sysctl": {"net.core.somaxconn": "500"}}`)
	tool.list("alone", "1.1.0", "OURS")

	answer := tool.must("add", "chained", box)
	expectIn(t, "answer to add", answer, `"127.0.0.1/8"`, `"10.0.0.77/24"`, `"name": "lo"`, `"name": "eth0"`)
	tool.must("check", "chained", box)
	box.run("ip", "link", "set", "eth0", "down")
	if out, err := tool.run("check", "chained", box); err == nil {
		t.Errorf("check of an interface that is down succeeded: %s", out)
	}
	box.run("ip", "link", "set", "eth0", "up")
	tool.must("del", "chained", box)
	tool.must("del", "chained", box)

	tool.must("status", "alone", box)
	tool.must("add", "alone", box)
	tool.must("check", "alone", box)
	tool.must("gc", "alone", box) // cnitool names no container that is to stay
	if diff := cmp.Diff(empty, h.traces()); diff != "" {
		t.Errorf("after del: -want +got\n%s", diff)
	}
	stop()
	if out, err := tool.run("status", "alone", box); err == nil {
		t.Errorf("status without an agent succeeded: %s", out)
	}
}
