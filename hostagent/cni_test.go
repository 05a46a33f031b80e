package hostagent

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// cni is the plugin, run as a container runtime runs it.
type cni struct {
	t      *testing.T
	binary string
	h      *host
}

func buildCNI(t *testing.T, h *host) cni {
	t.Helper()
	binary := h.path("sluice-cni")
	h.run("go", "build", "-o", binary, "sluice/cmd/sluice-cni")
	return cni{t, binary, h}
}

// call runs a command for a container; more is added to the network configuration.
func (p cni) call(command, id string, box *container, more map[string]any) (string, error) {
	conf := map[string]any{
		"cniVersion": "1.1.0", "name": "shop", "type": "sluice", "tenant": "alice", "socket": p.h.options.Socket,
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
		cmd.Env = append(cmd.Env, "CNI_CONTAINERID="+id, "CNI_IFNAME=eth0", "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAME=web-0")
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
	out, err := plugin.call("ADD", "c2", newContainer(t), map[string]any{"tenant": "carol"})
	if err == nil || !strings.Contains(out, "network carol/default does not exist") {
		t.Errorf("ADD for an unknown tenant: %v, %s", err, out)
	}

	valid := []any{map[string]string{"containerID": "c1", "ifname": "eth0"}}
	plugin.must("ADD", "lost", newContainer(t), nil)
	plugin.must("GC", "", nil, map[string]any{"cni.dev/valid-attachments": valid})
	if links, err := portLinks(); err != nil || len(links) != 1 {
		t.Errorf("after GC: interfaces %v, error %v; want that of c1 alone", links, err)
	}
	for range 2 { // a runtime may repeat it
		plugin.must("DEL", "c1", nil, nil)
	}
	if diff := cmp.Diff(empty, h.traces()); diff != "" {
		t.Errorf("after DEL: -want +got\n%s", diff)
	}
	expectIn(t, "VERSION", plugin.must("VERSION", "", nil, nil), fmt.Sprintf("%q", "1.0.0"))
}
