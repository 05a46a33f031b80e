package prove_test

import (
	"path/filepath"
	"testing"

	"sluice/flows"
	"sluice/flows/internal/document"
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
	d, _, err := document.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	var switches []flows.Switch
	for _, sw := range d.Switches {
		switches = append(switches, flows.Switch(sw))
	}
	return d.State, switches
}
