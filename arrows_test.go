package sluice

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
		"controller/report", "controller/proof", "controller/dump", "controller/session", "controller/balance", "controller/traffic", "controller/lead", "controller/usage", "controller/changes", "controller/events", "controller/history", "controller/enrol", "datapath", "flows", "store", "metrics", "pki"},
	"controller/signal":  {},
	"controller/balance": {},
	"controller/name":    {"store"},
	"controller/cluster": {"store"},
	"controller/account": {"controller/cluster", "controller/signal", "datapath/openflow", "flows", "store"},
	"controller/host":    {"controller/cluster", "controller/signal", "controller/account", "datapath/openflow", "flows", "store", "metrics"},
	"controller/report":  {"controller/cluster", "controller/signal", "controller/host", "store"},
	"controller/proof":   {"controller/cluster", "controller/signal", "controller/host", "datapath/openflow", "flows", "store"},
	"controller/dump":    {"controller/cluster", "datapath/openflow", "store"},
	"controller/session": {"controller/cluster", "controller/signal", "controller/account", "controller/dump", "controller/host", "controller/report", "controller/proof",
		"datapath", "flows", "store", "metrics", "pki"},
	"controller/traffic": {"controller/balance", "controller/cluster", "flows", "store"},
	"controller/lead":    {"controller/balance", "controller/cluster", "controller/signal", "controller/traffic", "store"},
	"controller/usage":   {"controller/cluster", "controller/account", "flows", "store"},
	"controller/changes": {"controller/cluster", "controller/signal", "store"},
	"controller/events":  {"controller/changes", "controller/cluster", "controller/host", "controller/signal", "store"},
	"controller/history": {"store"},
	"controller/enrol":   {"controller/cluster", "controller/signal", "store", "pki"},
	"controller/access":  {"store", "pki"},
	"controller/client":  {"flows/trace/told", "flows/verify/found", "store/manifest", "store"}, // whoever imports it gets no more, see TestClientIsLight
	"controller/web":     {"controller/access", "controller/api", "controller/client", "flows", "metrics/overtime", "store"},
	"controller/api":     {"controller/access", "controller/client", "controller/changes", "controller/events", "controller/host", "controller/enrol", "controller/traffic", "controller/balance", "controller/usage", "controller/proof", "datapath/openflow", "flows", "store", "pki"},
	"hostagent":          {"hostagent", "datapath", "store", "metrics", "pki"},
	"hostagent/api":      {},
	"hostagent/docker":   {"hostagent/api", "hostagent/socket"}, // as sluice-cni, it asks by the agent's socket
	"hostagent/lxc":      {"hostagent/api"},
	"hostagent/socket":   {},
	"internal/browser":   {},
	"internal/golden":    {},
	"internal/stage":     {"controller/cluster", "store"},
	"hostagent/resolver": {"store"},
	"integration":        {"integration", "controller/client", "hostagent/api", "datapath", "flows", "store", "metrics", "pki"},
	"datapath":           {"datapath"},
	"datapath/openflow":  {},
	"flows":              {"flows", "datapath/openflow", "store"},
	"flows/trace/told":   {},
	"flows/verify/found": {"store"},
	"store":              {},
	"store/etcd":         {"store", "metrics", "pki"},
	"store/httpstatus":   {"store"},
	"store/manifest":     {"store"},
	"metrics":            {},
	"metrics/overtime":   {},
	"pki":                {}, // whoever signs is a function
	"pki/join":           {"pki"},
	"packaging":          {},
	"scripts":            {},

	"store/manifest/manifestfile": {"store/manifest"},
}

// impure is what the pure folders must not import: a context, clock, logger, socket or
// the system. The store's objects hold times and read MACs, so time and net are its own.
var impure = map[string][]string{
	"flows":                   {"context", "time", "log", "log/slog", "net", "net/http", "os", "os/exec", "syscall", "testing"},
	"datapath/openflow":       {"context", "time", "log", "log/slog", "net", "net/http", "os", "os/exec", "syscall", "testing"},
	"store":                   {"context", "log", "log/slog", "net/http", "os", "os/exec", "syscall", "testing"},
	"store/etcd":              {"testing"},
	"controller/balance":      {"context", "time", "log", "log/slog", "net", "net/http", "os", "os/exec", "syscall", "testing"},
	"controller":              {"os/exec", "sluice/datapath/ovsrun", "testing"}, // it runs no command on a host
	"hostagent":               {"sluice/datapath/ovsrun", "testing"},            // OVSDB takes a tenth of a process's time
	"store/httpstatus":        {"log", "log/slog", "net", "os", "os/exec", "syscall", "testing"},
	"store/etcd/etcdtest":     {},
	"flows/internal/document": {}, // tests read golden files by it
	"store/etcd/freeport":     {},
	"store/etcd/wire":         {},
	"integration/lab":         {"testing"},

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

// Who writes a program that uses the API gets no server with the client: its own types, the store's and the standard library.
func TestClientIsLight(t *testing.T) {
	lookAtFiles(t)
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "./controller/client").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	got := strings.Fields(string(out))
	slices.Sort(got)
	want := []string{"sluice/controller/client", "sluice/flows/trace/told", "sluice/flows/verify/found", "sluice/store", "sluice/store/manifest"}
	if !slices.Equal(got, want) {
		t.Errorf("controller/client brings %v, want %v", got, want)
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

// Packages that make test runs without the race detector, SEQUENTIAL of the Makefile, start no goroutine and import
// nothing by which goroutines share.
func TestSequential(t *testing.T) {
	text, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`(?m)^SEQUENTIAL := (.+)$`).FindStringSubmatch(string(text))
	if named == nil {
		t.Fatal("the Makefile has no SEQUENTIAL")
	}
	files := 0
	for folder := range strings.FieldsSeq(named[1]) {
		top, below := strings.CutSuffix(filepath.Clean(folder), "/...")
		for _, path := range sources(t, top, below) {
			files++
			wantSequential(t, path)
		}
	}
	if files < 100 {
		t.Errorf("only %d files were read", files)
	}
}

// sources are the files of a folder that are compiled into programs, and those of all folders below it.
func sources(t *testing.T, top string, below bool) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(top, func(path string, e fs.DirEntry, err error) error {
		if e != nil && e.IsDir() && path != top && !below {
			return fs.SkipDir
		}
		if strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func wantSequential(t *testing.T, path string) {
	t.Helper()
	const todo = "start none and share nothing, or take its folder out of SEQUENTIAL in the Makefile"
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range file.Imports {
		if i.Path.Value == `"sync"` || i.Path.Value == `"sync/atomic"` {
			t.Errorf("%s imports %s, as what goroutines share does: %s", path, i.Path.Value, todo)
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if _, starts := n.(*ast.GoStmt); starts {
			t.Errorf("%s starts a goroutine: %s", path, todo)
		}
		return true
	})
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
