package prove_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sluice/flows"
	"sluice/flows/prove"
)

// asked is what this package may use of package flows: the names of what stands in flows. What compiles is not
// among it.
var asked = regexp.MustCompile(`^(Table[A-Z]\w*|Reg[A-Z]\w*|Origin[A-Z]\w*|Kind\w*|GatewayPort|ResolverPort|NoPort|Slice|Switch|MetadataOf|MeterBounds|TableName)$`)

// The proof never asks the compiler what should be installed: a mistake of the compiler must be found too.
func TestProofAsksNoCompiler(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 10 {
		t.Fatalf("files: %v, %v", files, err)
	}
	used := map[string]bool{}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range file.Imports {
			if name := strings.Trim(i.Path.Value, `"`); strings.HasPrefix(name, "sluice/") &&
				!slices.Contains([]string{"sluice/flows", "sluice/store", "sluice/datapath/openflow"}, name) {
				t.Errorf("%s imports %s", path, name)
			}
			if i.Path.Value == `"sluice/flows"` && i.Name != nil {
				t.Errorf("%s imports flows under another name, so that this test does not see what it uses", path)
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "flows" {
					used[s.Sel.Name] = true
				}
			}
			return true
		})
	}
	for name := range used {
		if !asked.MatchString(name) {
			t.Errorf("flows.%s is used: it is no name of what stands in flows", name)
		}
	}
	if !used["TableClassify"] || !used["Slice"] {
		t.Error("this test sees nothing of what is used")
	}
	// Slice and Switch have no methods that compile.
	for _, compiles := range []string{"Compile", "Desired", "Slices", "Affected", "Check", "Tables", "Owner"} {
		if asked.MatchString(compiles) {
			t.Errorf("%s may be used", compiles)
		}
	}
}

// Each kind of slice says how its flows are proved: flows of a kind that does not are findings, however harmless
// they are.
func TestEachKindIsProved(t *testing.T) {
	c := newCluster(t)
	seen := map[flows.Kind]bool{}
	for _, tables := range c.tables {
		for i := range tables.Flows {
			seen[flows.Slice(tables.Flows[i].Cookie).Kind()] = true
		}
	}
	for kind, owner := range flows.Kinds() {
		if !seen[kind] {
			t.Errorf("testdata/cluster.txt has no flows of %s: kind.go must say how they are proved, and an object here show it", owner)
		}
	}
	for _, tables := range c.tables {
		for _, f := range prove.Host(c.state, tables) {
			t.Errorf("false alarm: %s", &f)
		}
	}
}

// Each rule says what it asks, and the page of the rules has it.
func TestRulesAreExplained(t *testing.T) {
	b, err := os.ReadFile("../../docs/design/027-the-proof.md")
	if err != nil {
		t.Fatal(err)
	}
	for rule, asks := range prove.Rules() {
		if asks == "" || !strings.Contains(string(b), "`"+string(rule)+"`") {
			t.Errorf("rule %s: %q, and docs/design/027-the-proof.md should name it", rule, asks)
		}
	}
}
