package docker

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/hostagent/api"
)

// What Docker's -p says, as dockerd sends it.
func TestPublishOf(t *testing.T) {
	for _, c := range []struct {
		name, bindings string
		want           []api.Publish
		says           string
	}{
		{"none", `[]`, nil, ""},
		{"not said", `null`, nil, ""},
		{"-p 8080:80 -p 53:54/udp", `[{"Proto":6,"IP":"","Port":80,"HostIP":"","HostPort":8080,"HostPortEnd":8080},{"Proto":17,"Port":54,"HostIP":"0.0.0.0","HostPort":53,"HostPortEnd":0}]`,
			[]api.Publish{{Protocol: "tcp", Port: 80, On: 8080}, {Protocol: "udp", Port: 54, On: 53}}, ""},
		{"-p 80", `[{"Proto":6,"Port":80}]`, nil, "say which port of the gateway host: -p PORT:80/tcp"},
		{"-p 8000-8009:80", `[{"Proto":6,"Port":80,"HostPort":8000,"HostPortEnd":8009}]`, nil, "-p 8000-8009:80: give one port"},
		{"-p 127.0.0.1:80:80", `[{"Proto":6,"Port":80,"HostIP":"127.0.0.1","HostPort":80,"HostPortEnd":80}]`, nil, "give no address, or 0.0.0.0"},
		{"-p [::]:80:80", `[{"Proto":6,"Port":80,"HostIP":"::","HostPort":80,"HostPortEnd":80}]`, nil, "give no address, or 0.0.0.0"},
		{"-p 80:80/sctp", `[{"Proto":132,"Port":80,"HostPort":80}]`, nil, "only TCP and UDP"},
		{"what no Docker says", `{"a":1}`, nil, "read published ports"},
	} {
		var said any
		if err := json.Unmarshal([]byte(c.bindings), &said); err != nil {
			t.Fatal(err)
		}
		got, err := publishOf(map[string]any{keyPortMap: said})
		if diff := cmp.Diff(c.want, got); diff != "" || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q; -want +got\n%s", c.name, err, c.says, diff)
		}
	}
	if got, err := publishOf(nil); got != nil || err != nil {
		t.Errorf("without options: %v, %v", got, err)
	}
}
