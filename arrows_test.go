package sluice

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// arrows are the imports that the design allows inside the module: from a folder and all
// below it, unless a longer entry speaks of them, to those folders and all below them.
var arrows = map[string][]string{
	"cmd":                 {"cmd/sluice/settings", "controller", "hostagent", "integration", "datapath", "flows", "store", "metrics", "pki"},
	"cmd/sluice-cni":      {"hostagent/api"},
	"cmd/sluice/settings": {},
	"controller": {"controller/signal", "controller/name", "controller/cluster", "controller/account", "controller/host",
		"controller/report", "controller/proof", "controller/session", "controller/lead", "controller/usage", "controller/enrol", "datapath", "flows", "store", "metrics", "pki"},
	"controller/signal":  {},
	"controller/name":    {"store"},
	"controller/cluster": {"store"},
	"controller/account": {"controller/cluster", "controller/signal", "datapath/openflow", "flows", "store"},
	"controller/host":    {"controller/cluster", "controller/signal", "controller/account", "datapath/openflow", "flows", "store", "metrics"},
	"controller/report":  {"controller/cluster", "controller/signal", "controller/host", "store"},
	"controller/proof":   {"controller/cluster", "controller/signal", "controller/host", "datapath/openflow", "flows", "store"},
	"controller/session": {"controller/cluster", "controller/signal", "controller/account", "controller/host", "controller/report", "controller/proof",
		"datapath", "flows", "store", "metrics", "pki"},
	"controller/lead":   {"controller/cluster", "controller/signal", "store"},
	"controller/usage":  {"controller/cluster", "controller/account", "flows", "store"},
	"controller/enrol":  {"controller/cluster", "controller/signal", "store", "pki"},
	"controller/access": {"store", "pki"},
	"controller/api":    {"controller/access", "controller/host", "controller/enrol", "controller/usage", "controller/proof", "datapath/openflow", "flows", "store", "pki"},
	"hostagent":         {"hostagent", "datapath", "store", "metrics", "pki"},
	"hostagent/api":     {},
	"integration":       {"integration", "controller/api", "hostagent/api", "datapath", "flows", "store", "metrics", "pki"},
	"datapath":          {"datapath"},
	"datapath/openflow": {},
	"flows":             {"flows", "datapath/openflow", "store"},
	"store":             {},
	"store/etcd":        {"store", "metrics", "pki"},
	"store/httpstatus":  {"store"},
	"metrics":           {},
	"pki":               {}, // whoever signs is a function
	"pki/join":          {"pki"},
	"packaging":         {},
	"scripts":           {},
}

// impure is what the pure folders must not import: a context, clock, logger, socket or
// the system. The store's objects hold times and read MACs, so time and net are its own.
var impure = map[string][]string{
	"flows":               {"context", "time", "log", "log/slog", "net", "net/http", "os", "os/exec", "syscall", "testing"},
	"datapath/openflow":   {"context", "time", "log", "log/slog", "net", "net/http", "os", "os/exec", "syscall", "testing"},
	"store":               {"context", "log", "log/slog", "net/http", "os", "os/exec", "syscall", "testing"},
	"store/etcd":          {"testing"},
	"controller":          {"os/exec", "sluice/datapath/ovsrun", "testing"}, // it runs no command on a host
	"hostagent":           {"sluice/datapath/ovsrun", "testing"},            // OVSDB takes a tenth of a process's time
	"store/httpstatus":    {"log", "log/slog", "net", "os", "os/exec", "syscall", "testing"},
	"store/etcd/etcdtest": {},
	"store/etcd/freeport": {},
	"store/etcd/wire":     {},
	"integration/lab":     {"testing"},

	"store/etcd/backuptest": {},
}

const module = "sluice/"

func TestArrows(t *testing.T) {
	for _, p := range packages(t) {
		folder := strings.TrimPrefix(p.ImportPath, module)
		allowed, ok := longest(arrows, folder)
		if !ok {
			t.Errorf("folder %s has no entry among the arrows: say what it may import", folder)
		}
		forbidden, _ := longest(impure, folder)
		for _, imported := range p.Imports {
			target, inside := strings.CutPrefix(imported, module)
			if inside && !slices.ContainsFunc(allowed, func(a string) bool { return under(target, a) }) {
				t.Errorf("%s imports %s: it may import %v", folder, target, allowed)
			}
			if slices.Contains(forbidden, imported) {
				t.Errorf("%s imports %s: it is to stay free of that", folder, imported)
			}
		}
	}
}

// goPackage is what go list says of a package; tests' imports are not counted.
type goPackage struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	lookAtFiles(t)
	out, err := exec.Command("go", "list", "-e", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		if p.ImportPath != strings.TrimSuffix(module, "/") {
			all = append(all, p)
		}
	}
	if len(all) < 5 {
		t.Fatalf("go list found %d packages only", len(all))
	}
	return all
}

func under(folder, top string) bool { return folder == top || strings.HasPrefix(folder, top+"/") }

// longest is the entry whose folder holds this one most closely.
func longest(entries map[string][]string, folder string) (value []string, ok bool) {
	best := ""
	for top, v := range entries {
		if under(folder, top) && len(top) > len(best) {
			best, value, ok = top, v, true
		}
	}
	return value, ok
}

// lookAtFiles makes `go test` see which files the result depends on: it would reuse an older
// result where only what go list reads has changed.
func lookAtFiles(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".go" {
			_, err = os.Stat(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
