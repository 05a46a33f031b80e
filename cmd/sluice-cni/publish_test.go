package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/hostagent/api"
)

// The capability portMappings, as runtimes of CNI 1.0 and 1.1 fill it in.
func TestPublished(t *testing.T) {
	for _, c := range []struct {
		mappings string
		want     []api.Publish
		says     string
	}{
		{`[]`, nil, ""},
		{`[{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]`, []api.Publish{{Protocol: "tcp", Port: 80, On: 8080}}, ""},
		{`[{"hostPort": 53, "containerPort": 54, "protocol": "UDP", "hostIP": "0.0.0.0"}, {"hostPort": 1, "containerPort": 65535}]`,
			[]api.Publish{{Protocol: "udp", Port: 54, On: 53}, {Protocol: "tcp", Port: 65535, On: 1}}, ""},
		{`[{"hostPort": 80, "containerPort": 80, "protocol": "sctp"}]`, nil, "only tcp and udp"},
		{`[{"hostPort": 0, "containerPort": 80}]`, nil, "the runtime's own choice"},
		{`[{"hostPort": 80, "containerPort": 65536}]`, nil, "from 1 to 65535"},
		{`[{"hostPort": 80, "containerPort": 80, "hostIP": "127.0.0.1"}]`, nil, "host address 127.0.0.1: give none"},
		{`[{"hostPort": 80, "containerPort": 80, "hostIP": "::"}]`, nil, "host address ::: give none"},
		{`[{"hostPort": 80, "containerPort": 80, "hostIP": "here"}]`, nil, "host address here: give none"},
	} {
		for _, version := range []string{"1.0.0", "1.1.0"} {
			conf, err := parseConfig(fmt.Appendf(nil, `{"cniVersion": %q, "name": "shop", "tenant": "alice", "runtimeConfig": {"portMappings": %s}}`, version, c.mappings))
			if err != nil {
				t.Fatal(err)
			}
			got, err := published(conf)
			if diff := cmp.Diff(c.want, got); diff != "" || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v, want %q; -want +got\n%s", c.mappings, err, c.says, diff)
			}
		}
	}
}
