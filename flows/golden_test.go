package flows

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	of "sluice/datapath/openflow"
	"sluice/flows/internal/document"
	"sluice/store"

	gocmp "github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew from their inputs")

// tables is a golden file: what stands in etcd and on the switches above, and what
// every host's tables hold below.
type tables struct{ document.Document }

func readDocument(t *testing.T, path string) (tables, string) {
	t.Helper()
	d, text, err := document.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return tables{d}, text
}

// switches are the document's.
func (d *tables) switches() (list []Switch) {
	for _, sw := range d.Switches {
		list = append(list, Switch(sw))
	}
	return list
}

// text is the whole document with the tables as compiled. Of base's flows each is shown once, and
// none that was shown before.
func (d *tables) text(shown map[string]bool) string {
	shown = maps.Clone(shown)
	var b bytes.Buffer
	b.WriteString(d.Input)
	for _, sw := range d.switches() {
		flows, problems := compileHost(d.State, sw)
		all := len(flows)
		flows = slices.DeleteFunc(flows, func(f of.Flow) bool {
			line := goldenLine(d.State, f)
			before := shown[line]
			if Slice(f.Cookie) == baseSlice() {
				shown[line] = true
			}
			return before
		})
		fmt.Fprintf(&b, "%s\n# %s: %d flows", document.Below, sw.Host, all)
		if all > len(flows) {
			fmt.Fprintf(&b, ", %d of them base's and shown before", all-len(flows))
		}
		b.WriteString("\n")
		for _, p := range store.Problems(problems).Told() {
			fmt.Fprintf(&b, "# problem: %s: %s\n", p.Object, p.Text)
		}
		writeTables(&b, d.State, flows)
	}
	return b.String()
}

func compileHost(s *store.State, sw Switch) (flows []of.Flow, problems []store.Problem) {
	return Desired(s, sw)
}

func writeTables(b *bytes.Buffer, s *store.State, flows []of.Flow) {
	flows = slices.Clone(flows)
	slices.SortStableFunc(flows, func(f, g of.Flow) int {
		return cmp.Or(cmp.Compare(f.Table, g.Table), cmp.Compare(g.Priority, f.Priority),
			cmp.Compare(f.Cookie, g.Cookie))
	})
	table := -1
	for _, f := range flows {
		if int(f.Table) != table {
			table = int(f.Table)
			fmt.Fprintf(b, "\n# %d %s\n", table, TableName(f.Table))
		}
		b.WriteString(goldenLine(s, f))
	}
}

// goldenLine is a flow and what it is for.
func goldenLine(s *store.State, f of.Flow) string {
	line := Annotate(s, &f)
	f.Cookie = 0
	about := line.Owner
	if line.Note != "" {
		about += ", " + line.Note
	}
	return fmt.Sprintf("%s  # %s\n", strings.TrimSpace(f.String()), about)
}

// baseDocument shows what every bridge holds.
const baseDocument = "testdata/base.golden"

// baseLines are the lines of the base document that are of no object.
func baseLines(t *testing.T) map[string]bool {
	t.Helper()
	d, _ := readDocument(t, baseDocument)
	lines := map[string]bool{}
	for _, sw := range d.switches() {
		flows, _ := compileHost(d.State, sw)
		for _, f := range flows {
			if Slice(f.Cookie) == baseSlice() {
				lines[goldenLine(d.State, f)] = true
			}
		}
	}
	return lines
}

func documents(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.golden")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	return paths
}

func TestGolden(t *testing.T) {
	base := baseLines(t)
	for _, path := range documents(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			d, want := readDocument(t, path)
			shown := base
			if path == baseDocument {
				shown = map[string]bool{}
			}
			got := d.text(shown)
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := gocmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("tables differ from %s (-want +got; -update writes it anew):\n%s", path, diff)
			}
		})
	}
}

// Every flow keeps to the contract of its table, and no two meet in one match.
func TestContract(t *testing.T) {
	for _, path := range documents(t) {
		d, _ := readDocument(t, path)
		for _, sw := range d.switches() {
			flows, _ := compileHost(d.State, sw)
			for _, f := range flows {
				if err := Check(&f); err != nil {
					t.Errorf("%s, %s: %v", path, sw.Host, err)
				}
			}
		}
	}
}

// The budget of an IPv4 tenant that has a port on each of two hosts.
func TestFlowsOfATenant(t *testing.T) {
	const most = 42
	d, _ := readDocument(t, "testdata/two-tenants.golden")
	for _, sw := range d.switches() {
		owned := map[uint32]int{}
		flows, _ := compileHost(d.State, sw)
		for _, f := range flows {
			owned[Slice(f.Cookie).Tenant()]++
		}
		for number, n := range owned {
			if number != 0 && n > most {
				t.Errorf("%s holds %d flows of tenant %d, at most %d are meant", sw.Host, n, number, most)
			}
			t.Logf("%s: tenant %d: %d flows", sw.Host, number, n)
		}
	}
}
