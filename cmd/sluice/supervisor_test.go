package main

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A supervisor hears that the controller serves, and goes on to hear that it is alive.
func TestControllerTellsItsSupervisor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "30000")
	t.Setenv("WATCHDOG_PID", "")
	r := runController(t, t.TempDir())
	var heard []string
	for range 4 {
		b := make([]byte, 100)
		n, err := l.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		heard = append(heard, string(b[:n]))
	}
	if want := []string{"READY=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"}; !slices.Equal(heard, want) {
		t.Errorf("it hears %q", heard)
	}
	r.end(t)
}

// A controller does not begin anew where its data stands at the place of before.
func TestMoved(t *testing.T) {
	for name, tc := range map[string]struct {
		there   []string
		refuses bool
	}{
		"nothing":       {nil, false},
		"former store":  {[]string{"former/store.json"}, true},
		"former etcd":   {[]string{"former/etcd"}, true},
		"both, as told": {[]string{"former/store.json", "new/store.json"}, false},
		"an agent's":    {[]string{"former/agent"}, false},
	} {
		dir := t.TempDir()
		for _, path := range tc.there {
			if err := os.MkdirAll(filepath.Join(dir, path), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		err := moved(filepath.Join(dir, "new"), filepath.Join(dir, "former"))
		if (err != nil) != tc.refuses || err != nil && !strings.Contains(err.Error(), "--data-dir "+dir+"/former") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestManPages(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man1")
	done(t, "man", dir)
	for _, name := range []string{"sluice.1", "sluice-agent.1", "sluice-tenant-create.1"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !strings.Contains(string(b), ".SH EXAMPLE") {
			t.Errorf("%s: %v\n%s", name, err, b)
		}
	}
	again := t.TempDir()
	done(t, "man", again)
	a, _ := os.ReadFile(filepath.Join(dir, "sluice-agent.1"))
	b, _ := os.ReadFile(filepath.Join(again, "sluice-agent.1"))
	if string(a) != string(b) {
		t.Error("two builds differ")
	}
}
