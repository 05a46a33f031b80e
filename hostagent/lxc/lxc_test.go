package lxc

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/hostagent/api"
)

// write makes a file of a test's own folder.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCalled(t *testing.T) {
	const config = "/var/lib/lxc/web/config"
	env := func(more ...string) map[string]string {
		e := map[string]string{"LXC_NAME": "web", "LXC_CONFIG_FILE": config, "LXC_PID": "7"}
		for i := 0; i < len(more); i += 2 {
			e[more[i]] = more[i+1]
		}
		return e
	}
	byArguments := []string{"web", "lxc", "start-host"}
	for _, x := range []struct {
		name string
		args []string
		env  map[string]string
		want Call
		says string
	}{
		{"version 0", byArguments, env(), Call{Hook: StartHost, Container: "web", Config: config, PID: 7}, ""},
		{"version 1", nil, env("LXC_HOOK_TYPE", "post-stop", "LXC_HOOK_SECTION", "lxc", "LXC_TARGET", "stop"),
			Call{Hook: PostStop, Container: "web", Config: config, PID: 7}, ""},
		{"it starts again", []string{"web", "lxc", "post-stop"}, env("LXC_TARGET", "reboot"),
			Call{Hook: PostStop, Container: "web", Config: config, PID: 7, Reboot: true}, ""},
		{"no init yet", []string{"web", "lxc", "post-stop"}, env("LXC_PID", ""), Call{Hook: PostStop, Container: "web", Config: config}, ""},
		{"by hand", nil, nil, Call{}, "by hand it has nothing to do"},
		{"too few arguments", []string{"web", "lxc"}, env(), Call{}, "by hand"},
		{"a script of an interface", []string{"web", "net", "up", "veth"}, env(), Call{}, "hook up of section net is not for this program"},
		{"another section", nil, env("LXC_HOOK_TYPE", "start-host", "LXC_HOOK_SECTION", "net"), Call{}, "hook start-host of section net"},
		{"another hook", []string{"web", "lxc", "pre-start"}, env(), Call{}, "set lxc.hook.start-host and lxc.hook.post-stop"},
		{"a relative configuration", byArguments, env("LXC_CONFIG_FILE", "config"), Call{}, `its configuration is "config"`},
		{"no number", byArguments, env("LXC_PID", "x"), Call{}, `LXC_PID is "x"`},
		{"number 0", byArguments, env("LXC_PID", "0"), Call{}, `LXC_PID is "0"`},
	} {
		got, err := Called(x.args, func(name string) string { return x.env[name] })
		if x.says != "" {
			if err == nil || !strings.Contains(err.Error(), x.says) {
				t.Errorf("%s: error %v, want %q", x.name, err, x.says)
			}
			continue
		}
		if diff := cmp.Diff(x.want, got); err != nil || diff != "" {
			t.Errorf("%s: error %v, -want +got\n%s", x.name, err, diff)
		}
	}
}

func TestRequest(t *testing.T) {
	const config = "/var/lib/lxc/web/config"
	c := Call{Hook: StartHost, Container: "web", Config: config, PID: 7}
	r, err := c.request(Interface{Tenant: "alice", IfName: "net1", Addresses: []string{"10.0.0.7"}, MAC: "02:00:00:00:00:07"})
	if err != nil {
		t.Fatal(err)
	}
	start := r.Labels[labelStart]
	if !strings.HasSuffix(start, "/7") || len(start) < len("/7")+36 {
		t.Errorf("start %q does not name the boot and the process", start)
	}
	want := api.AttachRequest{
		Tenant: "alice", Network: "default", Name: "web", NetNS: "/proc/7/ns/net", IfName: "net1", MAC: "02:00:00:00:00:07", Addresses: []string{"10.0.0.7"},
		ContainerID: "web", Runtime: "lxc", Labels: map[string]string{labelConfig: config, labelStart: start},
	}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if r, err = c.request(Interface{Tenant: "alice", Network: "db", Name: "db-web"}); err != nil || r.Network != "db" || r.Name != "db-web" {
		t.Errorf("port %s/%s, error %v", r.Network, r.Name, err)
	}
	for _, x := range []struct {
		name string
		call Call
		at   Interface
		says string
	}{
		{"no tenant", c, Interface{}, "no tenant: write it as --tenant NAME"},
		{"no init", Call{Container: "web", Config: config}, Interface{Tenant: "alice"}, "LXC did not tell LXC_PID"},
	} {
		if _, err := x.call.request(x.at); err == nil || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%s: error %v, want %q", x.name, err, x.says)
		}
	}
}

// What a start takes over from the last one it does without where that is taken, or of no subnet any more.
func TestAttachAs(t *testing.T) {
	former := api.Attachment{Name: "web", Addresses: []string{"10.0.0.7/24", "fd00::7/64"}, MAC: "02:00:00:00:00:07"}
	for _, x := range []struct {
		name    string
		asked   api.AttachRequest
		former  api.Attachment
		refuses int // the status of the first answer; 0: none
		want    []string
	}{
		{"nothing before", api.AttachRequest{}, api.Attachment{}, 0, []string{" "}},
		{"as before", api.AttachRequest{}, former, 0, []string{"10.0.0.7,fd00::7 02:00:00:00:00:07"}},
		{"another address", api.AttachRequest{Addresses: []string{"10.0.0.8"}}, former, 0, []string{"10.0.0.8 02:00:00:00:00:07"}},
		{"another MAC", api.AttachRequest{MAC: "02:00:00:00:00:08"}, former, 0, []string{"10.0.0.7,fd00::7 02:00:00:00:00:08"}},
		{"taken meanwhile", api.AttachRequest{}, former, http.StatusConflict, []string{"10.0.0.7,fd00::7 02:00:00:00:00:07", " "}},
		{"of no subnet any more", api.AttachRequest{}, former, http.StatusUnprocessableEntity, []string{"10.0.0.7,fd00::7 02:00:00:00:00:07", " "}},
		{"the agent ends", api.AttachRequest{}, former, http.StatusServiceUnavailable, []string{"10.0.0.7,fd00::7 02:00:00:00:00:07"}},
		{"taken, as it was asked for", api.AttachRequest{}, api.Attachment{}, http.StatusConflict, []string{" "}},
	} {
		var got []string
		attach := func(_ context.Context, r api.AttachRequest) (api.Attachment, error) {
			got = append(got, strings.Join(r.Addresses, ",")+" "+r.MAC)
			if x.refuses != 0 && len(got) == 1 {
				return api.Attachment{}, api.NewProblem(x.refuses, "refused")
			}
			return api.Attachment{}, nil
		}
		_, err := attachAs(t.Context(), attach, x.asked, x.former)
		if diff := cmp.Diff(x.want, got); diff != "" || (err != nil) != (x.refuses != 0 && len(x.want) == 1) {
			t.Errorf("%s: error %v, requests -want +got\n%s", x.name, err, diff)
		}
	}
}

// A port has its container's name. lxc-copy --ephemeral makes names that no port may have.
func TestPortNames(t *testing.T) {
	for container, want := range map[string]string{"web": "web", "web_Xa3": "web-xa3-a809b11c", "-": "a809b11c", "Web": "web-a809b11c"} {
		if got := (Call{Container: container, Config: "/var/lib/lxc/x/config"}).portName(); got != want {
			t.Errorf("container %s: port %s, want %s", container, got, want)
		}
	}
}

func TestLog(t *testing.T) {
	dir := t.TempDir()
	config, beside, named := dir+"/web/config", dir+"/web/web.log", dir+"/named.log"
	write(t, config, "lxc.net.0.type = empty\n")
	c := Call{Hook: StartHost, Container: "web", Config: config}
	at := time.Date(2026, 11, 28, 22, 30, 1, 5e6, time.UTC)
	for _, level := range []Level{Error, Warning} { // it is there the second time
		if err := c.Log(level, "no such tenant", at); err != nil {
			t.Error(err)
		}
	}
	text, err := os.ReadFile(beside)
	const line = "sluice web 20261128223001.005 %-8s start-host - no such tenant\n"
	if want := fmt.Sprintf(line+line, "ERROR", "WARN"); err != nil || string(text) != want {
		t.Errorf("log %q, error %v, want %q", text, err, want)
	}
	for _, x := range []struct{ config, text, want string }{
		{config, "lxc.log.file = " + named + "\n", named},
		{config, "", beside},
		{"/var/lib/lxc/sluice-test-none/config", "", "/var/log/lxc/web.log"},
	} {
		if x.config == config {
			write(t, config, x.text)
		}
		if got := (Call{Container: "web", Config: x.config}).logFile(); got != x.want {
			t.Errorf("configuration %s with %q: log %s, want %s", x.config, x.text, got, x.want)
		}
	}
}
