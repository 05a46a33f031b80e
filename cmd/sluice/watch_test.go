package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"sluice/controller/client"
	"sluice/store"
)

func TestChangesAsLines(t *testing.T) {
	list := []client.Change{
		{Event: client.EventPut, Kind: store.KindTenant, Tenant: "alice", Revision: 7, Created: 7, Object: []byte(`{"number":1}`)},
		{Event: client.EventBookmark, Revision: 8},
		{Event: client.EventPut, Kind: store.KindPort, Host: "h1", Tenant: "alice", Network: "default", Name: "a1", Revision: 1234567, Created: 20, Object: []byte(`{"number":4}`)},
		{Event: client.EventDelete, Kind: store.KindHost, Host: "h1", Revision: 1234568},
	}
	for file, f := range map[string]format{"testdata/watch.txt": formatTable, "testdata/watch.json": formatJSON} {
		var b bytes.Buffer
		for _, c := range list {
			if err := writeChange(&b, c, f); err != nil {
				t.Fatal(err)
			}
		}
		checkGolden(t, file, b.Bytes())
	}
}

// watched is a command that goes on until it is interrupted, and what it has shown.
type watched struct {
	t      *testing.T
	shown  *lockedBuffer
	stop   context.CancelFunc
	status chan int
}

// watch runs a command that goes on.
func watch(t *testing.T, args ...string) *watched {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	w := &watched{t, &lockedBuffer{}, stop, make(chan int, 1)}
	root := newRoot()
	root.SetOut(w.shown)
	root.SetErr(w.shown)
	root.SetArgs(args)
	go func() { w.status <- execute(ctx, root) }()
	return w
}

// until waits for what it shows.
func (w *watched) until(holds func(shown string) bool, what string) {
	w.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(w.shown.String()); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("no %s in\n%s", what, w.shown)
		}
	}
}

// interrupt ends it, which must be no failure.
func (w *watched) interrupt() {
	w.t.Helper()
	w.stop()
	if got := <-w.status; got != statusDone {
		w.t.Errorf("interrupted, it ends with status %d: %s", got, w.shown)
	}
}

// The command shows what is there and what happens meanwhile, until it is interrupted.
func TestWatchCommand(t *testing.T) {
	r := runController(t, t.TempDir())
	sluice(t, "tenant", "create", "alice", "--api", r.api)
	w := watch(t, "watch", "tenants", "--tenant", "alice", "--api", r.api)
	lines := func(n int) {
		t.Helper()
		w.until(func(shown string) bool { return strings.Count(shown, "\n") >= n }, fmt.Sprint(n, " lines"))
	}
	lines(1)
	sluice(t, "tenant", "set", "alice", "--limit-connections", "5", "--api", r.api)
	lines(2)
	w.interrupt()
	if got := sluice(t, "watch", "tenants", "--after", "1000000", "--api", r.api); got.status != statusFailed || !bytes.Contains([]byte(got.err), []byte("is not of this store")) {
		t.Errorf("a revision to come: %+v", got)
	}
	if got := sluice(t, "watch", "tenents"); got.status != statusUsage {
		t.Errorf("a kind that is none: %+v", got)
	}
	r.end(t)
}

// Questions about the past that mean nothing are refused before anybody is asked.
func TestPastFlags(t *testing.T) {
	for line, says := range map[string]string{
		"flows 12": "unknown command", "flows --between 5 x": `revision "x"`, "flows --between 5 0": `revision "0"`, "flows --at 0": "--at 0: revisions begin at 1",
		"flows --between -2": "--between -2", "flows --at 3 --diff": "none of the others can be", "flows --between 3 --watch": "none of the others can be",
		"flows --between 3 4 5": "accepts at most 1 arg", "trace alice/a alice/b --at -1": "--at -1", "flows --at x": "--at",
	} {
		if got := sluice(t, strings.Fields(line)...); got.status != statusUsage || !strings.Contains(got.err, says) {
			t.Errorf("sluice %s: status %d, %s", line, got.status, got.err)
		}
	}
}
