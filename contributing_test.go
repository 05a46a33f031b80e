package sluice

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sluice/flows"
	"sluice/metrics"
	"sluice/store"
)

// This test walks what CONTRIBUTING.md asks for: each kind, table, metric and room that there is has it.

// served are the kinds that people see and ask for, with the names of what a kind of object has
// in files and commands.
var served = map[store.Kind]struct{ one, many, command string }{
	store.KindTenant:      {"tenant", "tenants", "tenant"},
	store.KindNetwork:     {"network", "networks", "network"},
	store.KindHost:        {"host", "hosts", "host"},
	store.KindPort:        {"port", "ports", "port"},
	store.KindGateway:     {"gateway", "gateways", "gateway"},
	store.KindToken:       {"token", "tokens", "token"},
	store.KindPeering:     {"peering", "peerings", "peer"},
	store.KindPublication: {"publication", "publications", "publish"},
	store.KindSticky:      {"sticky", "stickies", "sticky"},
}

// flowless are those of them that no switch holds anything of.
var flowless = []store.Kind{store.KindToken, store.KindSticky}

// behind are the kinds that controllers and agents keep for each other.
var behind = []store.Kind{
	store.KindSchema, store.KindSettings, store.KindMaster, store.KindLiveHost, store.KindLiveController,
	store.KindEnrolment, store.KindInvitation, store.KindStatusHost, store.KindStatusController, store.KindStatusCounters, store.KindHappening, store.KindUsage, store.KindEmptied, store.KindDrain, store.KindAlloc, store.KindIdle,
	store.KindIdentity, store.KindWitnessHost, store.KindWitnessController, store.KindChain, store.KindStamp, store.KindRequest, store.KindWord, store.KindFarewell,
}

func TestEachKindHasWhatContributingAsksFor(t *testing.T) {
	lookAtFiles(t)
	for _, kind := range store.Kinds() {
		names, shown := served[kind]
		if !shown {
			if !slices.Contains(behind, kind) {
				t.Errorf("kind %s: say here whether people see it", kind)
			}
			continue
		}
		for _, file := range []string{
			"store/" + names.one + ".go", "controller/api/" + names.many + ".go", "cmd/sluice/" + names.one + ".go",
			"cmd/sluice/testdata/" + names.one + "-list.txt", "flows/prove/" + names.one + ".go",
		} {
			if strings.HasPrefix(file, "flows/") && slices.Contains(flowless, kind) {
				continue
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("kind %s: %v", kind, err)
			}
		}
		for _, asked := range []struct{ place, text string }{
			{"flows/testdata/*.golden", "\n" + string(kind) + "/"},
			{"controller/session/testdata/*.scenario", "\nput " + string(kind) + "/"},
			{"docs/keys.md", "`" + string(kind) + "/"},
			{"docs/cli.md", "## sluice " + names.command + " "},
			{"controller/api/server.go", "s." + names.many + "(a)"},
			{"cmd/sluice/root.go", names.one + "Command()"},
			{"cmd/sluice/testdata/session.txt", "$ sluice " + names.command + " "},
			{"flows/prove/testdata/cluster.txt", "\n" + string(kind) + "/"},
			{"flows/incremental_test.go", "store." + title(names.one) + "Key("},
			{"flows/internal/worlds/*.go", "store." + title(names.one) + "Key("},
		} {
			if inFlows := strings.HasPrefix(asked.place, "flows/") || strings.HasSuffix(asked.place, ".scenario"); inFlows && slices.Contains(flowless, kind) {
				continue
			}
			holds(t, string(kind), asked.place, asked.text)
		}
		if kind != store.KindToken { // who may use the API is nobody's to watch
			holds(t, string(kind), "controller/changes/changes.go", "store.Kind"+title(names.one))
		}
		if _, err := os.Stat("store/" + names.one + "_spec.go"); err == nil {
			holds(t, string(kind), "store/*_test.go", title(names.one)+"Spec{")
			holds(t, string(kind), "store/etcd/*_test.go", "store."+title(names.one)+"Spec{")
		}
	}
}

func title(word string) string { return strings.ToUpper(word[:1]) + word[1:] }

// holds fails where none of the files has the text.
func holds(t *testing.T, whose, files, text string) {
	t.Helper()
	paths, err := filepath.Glob(files)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no file is %s: %v", files, err)
	}
	text, word := strings.CutSuffix(text, "\b")
	pattern := regexp.QuoteMeta(text)
	if word {
		pattern += `\b`
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if regexp.MustCompile(pattern).MatchString("\n" + string(b)) {
			return
		}
	}
	t.Errorf("%s: %s has no %q, which CONTRIBUTING.md asks for", whose, files, strings.TrimSpace(text))
}

func TestEachTableAndMetricIsInTheDocs(t *testing.T) {
	for _, table := range flows.Tables() {
		holds(t, "table "+table.Name, "docs/pipeline.md", "`"+table.Name+"`")
	}
	for _, m := range metrics.Descriptions() {
		holds(t, "metric "+m.Name, "docs/metrics.md", "`"+m.Name+"`")
	}
	for _, what := range store.Whats() {
		row := "\n| `" + string(what) + "` | "
		holds(t, "event "+string(what), "docs/events.md", row)
	}
}

// What docs/metrics.md says of how many series there are is what flows can make.
func TestStatedSeriesAreThoseOfTheFlows(t *testing.T) {
	stated := map[string]string{}
	for _, m := range metrics.Descriptions() {
		stated[m.Name] = m.Series()
	}
	for name, want := range map[string]string{
		"sluice_flows":              fmt.Sprintf("hosts x %d", len(flows.Tables())),
		"sluice_events_total":       fmt.Sprint(len(store.Whats())),
		"sluice_tenant_drops_total": fmt.Sprintf("tenants x %d", len(flows.Reasons())+1), // one is unknown
	} {
		if stated[name] != want {
			t.Errorf("%s: metrics/metrics.go (extents) says %q series, and it is %q", name, stated[name], want)
		}
	}
}

// Each package below controller/ is a room: it has arrows of its own, and is in the two drawings.
func TestEachRoomIsDrawn(t *testing.T) {
	rooms, err := filepath.Glob("controller/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range rooms {
		if info, err := os.Stat(path); err != nil || !info.IsDir() {
			continue
		}
		if _, has := arrows[path]; !has {
			t.Errorf("%s has no arrows of its own in arrows_test.go", path)
		}
		room := filepath.Base(path)
		holds(t, path, "controller/doc.go", "//   - "+room+"\b")
		holds(t, path, "ARCHITECTURE.md", room+"\b")
	}
}

// Each keeper's file is in the list of keepers, and the files that the lists name are there.
func TestContributingNamesFilesThatExist(t *testing.T) {
	keepers, err := filepath.Glob("hostagent/keep_*.go")
	if err != nil || len(keepers) < 5 {
		t.Fatalf("keepers: %v, %v", keepers, err)
	}
	b, err := os.ReadFile("CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	path := regexp.MustCompile("`([a-z_/*]+/[a-zA-Z_*.]+)`")
	named := 0
	for _, m := range path.FindAllStringSubmatch(string(b), -1) {
		if strings.HasPrefix(m[1], "policies/") {
			continue // the example's key
		}
		if paths, err := filepath.Glob(m[1]); err != nil || len(paths) == 0 {
			t.Errorf("CONTRIBUTING.md names %s, which is not there", m[1])
		}
		named++
	}
	if named < 20 {
		t.Errorf("only %d files are named", named)
	}
	for _, target := range regexp.MustCompile("`make ([a-z]+)").FindAllStringSubmatch(string(b), -1) {
		holds(t, "CONTRIBUTING.md", "Makefile", "\n"+target[1]+":")
	}
}

// Files are read in one sitting.
func TestFilesAreASitting(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		if n := strings.Count(string(b), "\n"); n > 500 {
			t.Errorf("%s has %d lines: is it one subject?", path, n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
