package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// result is what a run of the program showed.
type result struct {
	out, err string
	status   int
}

// sluice runs the program in this process.
func sluice(t *testing.T, args ...string) result {
	t.Helper()
	var out, err bytes.Buffer
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&err)
	status := execute(context.WithoutCancel(t.Context()), root)
	return result{out.String(), err.String(), status}
}

// nobody is an address where no API answers.
const nobody = "http://127.0.0.1:1"

func TestWrongUsage(t *testing.T) {
	tests := []struct {
		args string
		says string
	}{
		{"frobnicate", `unknown command "frobnicate" for "sluice"`},
		{"tenant frobnicate", `unknown command "frobnicate" for "sluice tenant"`},
		{"tenant lst", "did you mean list or set: see sluice tenant --help"},
		{"tenant create", "NAME is missing: see sluice tenant create --help"},
		{"tenant create alice --label red", "write it as KEY=VALUE"},
		{"tenant create a b", `"b" is one argument too many`},
		{"tenant list extra", `unknown command "extra" for "sluice tenant list"`},
		{"tenant list --frobnicate", "unknown flag: --frobnicate"},
		{"trace alice/a 10.0.0.2 --dport 99999", `invalid argument "99999" for "--dport" flag: value out of range`},
		{"tenant list -o xml", "it is table, json or yaml"},
		{"token create ci --role boss", `--role "boss": it is admin, viewer or tenant`},
		{"tenant list --token @/nowhere/at/all", "/nowhere/at/all: no such file"},
		{"tenant list --api gopher://x", "write it as http://HOST:PORT"},
		{"network create alice --subnet 10.0.0.0/24", "write it as TENANT/NAME"},
		{"network create alice/db", `required flag(s) "subnet" not set`},
		{"port show a1", "write it as TENANT/NETWORK/NAME"},
		{"port show alice//a1", "write it as TENANT/NETWORK/NAME"},
		{"port attach alice/a1", `required flag(s) "netns" not set`},
		{"trace alice/a1", "TO is missing"},
		{"trace a1 10.0.0.7", "write a port as TENANT/PORT"},
		{"trace alice/a1 10.0.0.7 --proto ipx", `protocol "ipx": it is tcp, udp, icmp, arp or a number`},
		{"trace alice/a1 10.0.0.7 --dport 80", "only tcp and udp have ports"},
		{"trace alice/a1 10.0.0.7 --state closed", `state "closed": it is one of new, established`},
		{"trace alice/a1 10.0.0.7 --proto tcp --dport 70000", "value out of range"},
		{"flows --table nosuch", "--table: table nosuch does not exist: it is a number or one of classify"},
		{"flows --host h1 --table 256", "--table: table 256 does not exist"},
		{"flows --tenant Alice", `name "Alice" is not a DNS label`},
		{"flows --port a1", "write it as TENANT/NETWORK/NAME"},
		{"flows --desired --diff", "[desired diff] were all set"},
		{"lab exec a1 --", "name a container and, after --, a command"},
		{"lab exec a1", "name a container and, after --, a command"},
		{"lab run h1 alice", "NAME is missing"},
		{"lab run h1 alice a1 --ip ten", "write it as 10.0.0.5"},
		{"controller --log-level loud", "debug, info, warn or error"},
		{"host delete h1/alice", `name "h1/alice" is not a DNS label`},
		{"flows --host h1/alice", `name "h1/alice" is not a DNS label`},
		{"verify --host h1 --host h1/alice", `name "h1/alice" is not a DNS label`},
		{"host show ..", `name ".." is not a DNS label`},
		{"tenant delete alice/default", `name "alice/default" is not a DNS label`},
		{"tenant create Alice", `name "Alice" is not a DNS label`},
		{"network delete Alice/db", `name "Alice" is not a DNS label`},
		{"port show alice/default/A1", `name "A1" is not a DNS label`},
		{"port detach alice/A1", `name "A1" is not a DNS label`},
		{"lab run h1/x alice a1", `name "h1/x" is not a DNS label`},
		{"controller --name a/b", `--name: controller name "a/b"`},
		{"agent --host h1", "required flag(s)"},
		{"agent --host h1 --vtep 192.0.2.1 --controllers 192.0.2.9:6653 --etcd-endpoints " + nobody, "write it as ssl:192.0.2.1:6653"},
		{"agent --host h1 --vtep 192.0.2.1 --controllers tcp:192.0.2.9:6653 --pki= --etcd-endpoints " + nobody, "--controllers tcp:192.0.2.9:6653: without certificates whoever is there would be believed"},
		{"agent --host h1 --vtep 192.0.2.1 --controllers ssl:192.0.2.9:6653 --pki= --etcd-endpoints " + nobody, "needs this host's certificate"},
		{"agent --host h1 --vtep 192.0.2.1 --controllers tcp:127.0.0.1:6653 --pki= --etcd-endpoints http://192.0.2.9:2379", "--etcd-endpoints http://192.0.2.9:2379: without certificates"},
		{"controller --pki= --listen-openflow :6653", "--listen-openflow :6653: without certificates"},
		{"controller --pki= --listen-api 192.0.2.1:8080", "--listen-api 192.0.2.1:8080: without certificates"},
		{"controller --pki= --embedded-etcd-client-url http://192.0.2.1:2379", "make them with sluice pki init and sluice pki issue controller"},
		{"controller --pki= --embedded-etcd-peer-url http://0.0.0.0:2380", "or say --insecure"},
		{"pki issue", "ROLE is missing"},
		{"pki issue admin alice", `role "admin": use one of [host controller etcd person]`},
		{"pki issue host h1 --days 0", "give 1 or more"},
		{"pki renew host", "NAME is missing"},
		{"agent --host h1 --vtep x --controllers tcp:127.0.0.1:1 --etcd-endpoints " + nobody, "--vtep"},
	}
	for _, test := range tests {
		t.Run(test.args, func(t *testing.T) {
			args := strings.Fields(test.args)
			got := sluice(t, args...)
			if got.status != statusUsage {
				t.Errorf("status %d, not %d", got.status, statusUsage)
			}
			checkOneLine(t, got, test.says)
		})
	}
}

// checkOneLine looks for the one line on stderr that a failure leaves, and nothing else.
func checkOneLine(t *testing.T, got result, says string) {
	t.Helper()
	if got.out != "" {
		t.Errorf("stdout is not empty: %q", got.out)
	}
	if !strings.HasPrefix(got.err, "sluice: ") || strings.Count(got.err, "\n") != 1 || !strings.Contains(got.err, says) {
		t.Errorf("stderr is %q, not one line that begins with sluice: and contains %q", got.err, says)
	}
}

func TestNobodyAnswers(t *testing.T) {
	for _, args := range []string{"status", "tenant list", "tenant create alice", "port list", "flows --host h1"} {
		got := sluice(t, append(strings.Fields(args), "--api", nobody)...)
		if got.status != statusFailed {
			t.Errorf("%s: status %d, not %d", args, got.status, statusFailed)
		}
		checkOneLine(t, got, nobody)
	}
	t.Setenv(apiEnv, "http://127.0.0.1:2")
	checkOneLine(t, sluice(t, "status"), "http://127.0.0.1:2")
	got := sluice(t, "port", "detach", "alice/a1", "--socket", t.TempDir()+"/none")
	if got.status != statusFailed {
		t.Errorf("detach without an agent: status %d", got.status)
	}
	checkOneLine(t, got, "agent")
}

// A token that travels in the clear is warned of, but on this machine's own loopback.
func TestTokensInTheClear(t *testing.T) {
	for url, want := range map[string]bool{"http://192.0.2.1:1": true, nobody: false, "https://192.0.2.1:1": false} {
		cmd := &cobra.Command{}
		apiFlag(cmd)
		var said bytes.Buffer
		cmd.SetErr(&said)
		cmd.SetContext(t.Context())
		if err := cmd.ParseFlags([]string{"--api", url, "--token", "secret"}); err != nil {
			t.Fatal(err)
		}
		t.Setenv(pkiEnv, t.TempDir())
		_, _ = dial(cmd) // without an authority https is refused
		if got := strings.Contains(said.String(), "reads the token"); got != want || strings.Contains(said.String(), "secret") {
			t.Errorf("%s: it says %q", url, said.String())
		}
	}
}

func TestHelpIsNotAnError(t *testing.T) {
	for _, args := range [][]string{{}, {"--help"}, {"tenant"}, {"tenant", "create", "--help"}, {"version"}} {
		if got := sluice(t, args...); got.status != statusDone || got.err != "" || got.out == "" {
			t.Errorf("%q: status %d, stderr %q, stdout %d bytes", args, got.status, got.err, len(got.out))
		}
	}
}
