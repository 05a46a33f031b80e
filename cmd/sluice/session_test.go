package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/controller"
	"sluice/controller/client"
	"sluice/store/etcd"
)

// running is a `sluice controller` in this process.
type running struct {
	api    string
	stop   context.CancelFunc
	status chan int
	log    *lockedBuffer
}

// lockedBuffer takes the log while the test may read it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// runController runs one with its embedded etcd.
func runController(t *testing.T, dir string) *running {
	t.Helper()
	return startController(t, "test", "--data-dir", dir,
		"--embedded-etcd-client-url", "http://"+freeAddress(t), "--embedded-etcd-peer-url", "http://"+freeAddress(t))
}

// startController returns when the controller is ready.
func startController(t *testing.T, name string, flags ...string) *running {
	t.Helper()
	address := freeAddress(t)
	return launchController(t, "http://"+address, append([]string{"--name", name, "--listen-api", address}, flags...)...)
}

// launchController returns when the controller is ready, whose API will be at the URL.
func launchController(t *testing.T, url string, flags ...string) *running {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir()) // where the API's own token is, unless root runs this
	r := &running{api: url, stop: stop, status: make(chan int, 1), log: &lockedBuffer{}}
	root := newRoot()
	root.SetErr(r.log)
	root.SetArgs(append([]string{"controller", "--listen-openflow", "127.0.0.1:0", "--data-dir", t.TempDir()}, flags...))
	go func() { r.status <- execute(ctx, root) }()
	t.Cleanup(stop)
	r.awaitReady(t)
	return r
}

func (r *running) awaitReady(t *testing.T) {
	t.Helper()
	options, err := security(r.api)
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.Dial(r.api, options...)
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := c.Ready(t.Context())
		if err == nil {
			return
		}
		select {
		case status := <-r.status:
			t.Fatalf("controller ended with status %d:\n%s", status, r.log)
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("controller is not ready: %v\n%s", err, r.log)
		}
	}
}

// end stops the controller as a signal would and looks at its exit status.
func (r *running) end(t *testing.T) {
	t.Helper()
	r.stop()
	select {
	case status := <-r.status:
		if status != statusDone {
			t.Errorf("controller ended with status %d:\n%s", status, r.log)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("controller does not stop:\n%s", r.log)
	}
}

// TestSession is one operator's session with a real controller and its etcd, as a file
// that can be read: commands, what they said, and how they ended.
func TestSession(t *testing.T) {
	dir := t.TempDir()
	r := runController(t, dir)
	var script bytes.Buffer
	say := func(lines ...string) {
		for _, line := range lines {
			got := sluice(t, append(strings.Fields(line), "--api", r.api)...)
			fmt.Fprintf(&script, "$ sluice %s\n%s%s", line, got.out, got.err)
			if got.status != statusDone {
				fmt.Fprintf(&script, "[exit status %d]\n", got.status)
			}
			script.WriteString("\n")
		}
	}
	say(
		"tenant list",
		"tenant create alice",
		"tenant create bob --subnet 10.0.0.0/24 --subnet fd00:b::/64 --segmentation vlan --label team=red",
		"tenant create alice",
		"tenant create Alice",
		"tenant create carol --subnet 10.0.0.0",
		"tenant create carol --subnet 10.0.0.0/24 --subnet 10.0.0.128/25",
		"tenant create carol --subnet 100.64.3.0/24",
		"tenant create carol --gateway h9",
		"tenant list",
		"tenant set bob --max-ports 5 --limit-connections 4096",
		"tenant set bob --limit-new-ports 3 --limit-questions 100",
		"tenant set bob --limit-connections -1",
		"tenant set bob --topology star",
		"tenant show bob",
		"tenant set bob --topology ring",
		"tenant set bob --topology direct --max-ports 6",
		"tenant set nobody --topology star",
		"tenant set bob",
		"tenant set carol --max-ports 5",
		"tenant show carol",
		"network create alice/db --subnet 10.0.1.0/24 --gateway-ip 10.0.1.254",
		"network create alice/more --subnet 10.0.1.0/25",
		"network create alice/more --subnet 10.0.2.0/29 --exclude 10.0.2.2-10.0.2.9",
		"network create alice/more --subnet 10.0.2.0/29 --exclude 10.0.2.4/30",
		"network delete alice/more",
		"network create carol/db --subnet 10.0.1.0/24",
		"network list",
		"network list --tenant carol",
		"peer alice bob",
		"peer alice alice",
		"peer alice/nosuch bob",
		"peer list",
		"network create bob/more --subnet 10.5.0.0/24 --segmentation vlan",
		"peer alice/db bob/more",
		"peer list --tenant bob",
		"unpeer bob alice",
		"unpeer bob alice",
		"peer alice nobody",
		"publish alice --port web --tcp 80 --on 8080",
		"publish alice --tcp 80",
		"publish alice --port web",
		"publish alice --port web --tcp 80 --udp 80",
		"publish alice --port web --tcp 80-90 --on 8080",
		"gateway floating",
		"gateway floating 203.0.113.50-203.0.113.59 203.0.113.64/28",
		"gateway floating 203.0.113.9-203.0.113.1",
		"gateway floating 127.0.0.1",
		"gateway floating --none 203.0.113.50",
		"publish alice --port web --tcp 80 --on 203.0.113.9:80",
		"publish alice --port web --tcp 80 --on web:80",
		"gateway floating --none",
		"publish http alice --port web --tcp 80 --host-name alice.example",
		"publish http alice --port web --tcp 80",
		"publish http alice --port web --tcp 80 --host-name 192.0.2.1",
		"publish http alice --port web --tcp 80 --host-name a_b.example",
		"publish list",
		"publish list --tenant bob",
		"unpublish alice tcp-8080",
		"sticky list",
		"sticky delete alice/web",
		"peer alice",
		"tenant delete alice",
		"network delete alice/db",
		"tenant delete alice",
		"tenant delete alice",
		"token create eyes --role viewer --person",
		"token create bobs --tenant bob --person",
		"token create bobs --role admin",
		"token create late --role admin --for -1h",
		"token create king --role king",
		"token create eve --tenant eve",
		"token create nobody",
		"token list",
		"token revoke bobs",
		"token revoke bobs",
		"token list",
		"tenant list --token wrong",
		"host list",
		"host show h9",
		"gateway list",
		"gateway fail-over on --interval 300ms",
		"gateway fail-over",
		"gateway fail-over off --interval 100ms",
		"gateway fail-over on --interval 1ms",
		"gateway fail-over --interval 1s",
		"gateway balance --auto maybe",
		"gateway balance --auto on --moves-an-hour 20 --window 10m",
		"gateway balance --auto off",
		"gateway balance --moves-an-hour 0",
		"gateway balance --dry-run --auto on",
		"gateway balance --at-once 0",
		"port list --tenant bob",
		"port show bob/b1",
		"port move bob/b1 h2",
		"port set bob/b1 --limit-egress-kbps 1000",
		"port set bob/b1 --limit-egress-kbps 1000 --as-asked",
		"port set bob/b1",
		"flows --host h9",
		"flows --diff",
		"trace bob/b1 10.0.0.7",
		"trace outside bob/b1 --proto tcp",
		"trace outside 100.64.0.9",
		"flows --table classify --tenant bob",
		"flows --table nosuch",
		"flows --network bob/nosuch",
		"flows --packet ip,nw_dst=bob",
		"flows --watch -o json",
		"flows --watch --every 0s",
		"owner 0x100000000000000 256",
		"owner bob",
		"owner -",
		"flows --tenant carol",
		"flows --port bob/b1",
		"plan -f testdata/cluster.yaml",
		"diff -f testdata/cluster.yaml",
		"apply -f testdata/cluster.yaml --digest 0a1b2c3d4e5f",
		"apply -f testdata/cluster.yaml",
		"apply -f testdata/cluster.yaml",
		"diff -f testdata/cluster.yaml",
		"apply -f testdata/cluster.yaml --prune tenants/erin",
		"apply -f testdata/wrong.yaml",
		"apply -f testdata/overlap.yaml",
		"apply -f testdata/nosuch.yaml",
		"export --tenant erin",
		"export --tenant nobody",
		"apply -f testdata/empty.yaml --prune tenants/erin --prune networks/erin/db",
		"tidy hosts",
		"tidy hosts --yes 0a1b2c3d4e5f",
		"tidy values --yes 0a1b2c3d4e5f",
		"tidy ports",
		"tidy ports --yes 0a1b2c3d4e5f",
	)
	if got := sluice(t, "__complete", "tenant", "show", "--api", r.api, "b"); !strings.HasPrefix(got.out, "bob\n") {
		t.Errorf("completion of tenant show b: %q", got.out)
	}
	r.end(t)

	fmt.Fprintf(&script, "# the controller and its etcd stopped and started again\n\n")
	r = runController(t, dir)
	say("tenant list")
	r.end(t)
	text := strings.ReplaceAll(script.String(), r.api, "http://127.0.0.1:8080")
	text = tenantNumber.ReplaceAllString(text, "$1 (a number)  ")
	text = shownNumber.ReplaceAllString(text, "$1 (a number)")
	text = madeAt.ReplaceAllString(text, "${1}revision (a number)")
	text = planMade.ReplaceAllString(text, "revision (a number), digest (of the numbers)")
	checkGolden(t, filepath.Join("testdata", "session.txt"), []byte(text))
}

// planMade is the foot of a plan: its digest depends on tenants' numbers.
var planMade = regexp.MustCompile(`revision \d+, digest [0-9a-f]{24}`)

// shownNumber is a number that was drawn, or an address that follows from it, where one tenant is shown.
var shownNumber = regexp.MustCompile(`(?m)^(Number:|Transit address:) +\d.*$`)

// madeAt is the revision at which an object was made: events are written meanwhile.
var madeAt = regexp.MustCompile(`(?m)^(Created: +)revision \d+$`)

// tenantNumber is the beginning of a tenant's row: its number depends on etcd's revision.
var tenantNumber = regexp.MustCompile(`(?m)^(alice|bob) +\d+ +`)

// TestNameTaken starts a second controller under the name of the first: that one ends, and
// says so once, in its last line.
func TestNameTaken(t *testing.T) {
	server, err := etcd.StartEmbedded(t.Context(), etcd.EmbedOptions{
		Name: "test", Dir: t.TempDir(), ClientURL: "http://" + freeAddress(t), PeerURL: "http://" + freeAddress(t), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	endpoints := strings.Join(server.Endpoints(), ",")
	first := startController(t, "c1", "--etcd-endpoints", endpoints)
	second := startController(t, "c1", "--etcd-endpoints", endpoints)
	select {
	case status := <-first.status:
		if status != statusUsage {
			t.Errorf("the first one ended with status %d", status)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("the first one does not end:\n%s", first.log)
	}
	lines := strings.Split(strings.TrimSpace(first.log.String()), "\n")
	for _, says := range []string{"sluice: controller c1: ", second.api, "--name"} {
		if last := lines[len(lines)-1]; !strings.Contains(last, says) {
			t.Errorf("its last line does not say %q: %s", says, last)
		}
	}
	if n := strings.Count(first.log.String(), controller.ErrNameTaken.Error()); n != 1 {
		t.Errorf("it says so %d times:\n%s", n, first.log)
	}
	second.end(t)
}

// TestAddressTaken starts a second controller where the first one listens.
func TestAddressTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got := sluice(t, "controller", "--listen-openflow", l.Addr().String(), "--data-dir", t.TempDir())
	if got.status != statusFailed {
		t.Errorf("status %d", got.status)
	}
	checkOneLine(t, got, "listen for switches at "+l.Addr().String())
}
