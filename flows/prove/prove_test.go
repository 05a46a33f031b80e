package prove_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/flows"
	"sluice/flows/internal/worlds"
	"sluice/flows/prove"
	"sluice/store"
)

// What is compiled is proved: no false alarm over random clusters, with gateways that drain, VLANs, both families,
// allowed address pairs, and objects that a hand edit has spoilt.
func TestCompiledWorldsAreProved(t *testing.T) {
	for seed := range worldsProved() {
		w := worlds.New(seed)
		for _, sw := range w.Switches() {
			all, _ := flows.Desired(w.State, sw)
			for _, f := range prove.Host(w.State, prove.Tables{Switch: sw, Flows: all}) {
				t.Fatalf("false alarm: %s\n%s", &f, w)
			}
		}
	}
}

func worldsProved() uint64 {
	if testing.Short() {
		return 60
	}
	return 400
}

// The same of the clusters of the golden files.
func TestGoldenFilesAreProved(t *testing.T) {
	paths, err := filepath.Glob("../testdata/*.golden")
	if err != nil || len(paths) < 5 {
		t.Fatalf("golden files: %v, %v", paths, err)
	}
	for _, path := range paths {
		s, switches := golden(t, path)
		for _, sw := range switches {
			all, _ := flows.Desired(s, sw)
			for _, f := range prove.Host(s, prove.Tables{Switch: sw, Flows: all}) {
				t.Errorf("%s: false alarm: %s", path, &f)
			}
		}
	}
}

// golden reads what stands in etcd and on the switches at the top of a golden file.
func golden(t testing.TB, path string) (*store.State, []flows.Switch) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := store.NewState()
	var switches []flows.Switch
	input, _, _ := strings.Cut(string(text), "\n====")
	for i, line := range strings.Split(input, "\n") {
		name, value, _ := strings.Cut(line, " ")
		if host, ok := strings.CutPrefix(name, "switch/"); ok {
			switches = append(switches, flows.Switch{Host: host, OFPort: ofports(t, value)})
			continue
		}
		if name == "" || name == "#" {
			continue
		}
		key, err := store.ParseKey(store.Prefix + name)
		if err != nil {
			t.Fatal(err)
		}
		object, err := store.Decode(key, []byte(value))
		if err != nil {
			t.Fatal(err)
		}
		revision := store.Revision(i + 1)
		s.Apply(store.Batch{Revision: revision, Events: []store.Event{{Key: key, Object: object, Created: revision, Modified: revision}}})
	}
	return s, switches
}

func ofports(t testing.TB, text string) map[string]uint32 {
	t.Helper()
	ports := map[string]uint32{}
	for _, field := range strings.Fields(text) {
		iface, number, _ := strings.Cut(field, "=")
		var n uint32
		if _, err := fmt.Sscan(number, &n); err != nil {
			t.Fatal(err)
		}
		ports[iface] = n
	}
	return ports
}
