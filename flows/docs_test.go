package flows

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	of "sluice/datapath/openflow"
)

// TestDocsOfThePipeline keeps docs/pipeline.md the page that the pipeline declares.
func TestDocsOfThePipeline(t *testing.T) {
	const path = "../docs/pipeline.md"
	page := pipelinePage()
	if *update {
		if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(page, string(got)); diff != "" {
		t.Errorf("%s is stale, run make docs (-want +got):\n%s", path, diff)
	}
}

func pipelinePage() string {
	var b strings.Builder
	b.WriteString(`# The pipeline

Every frame on ` + "`br-int`" + ` walks these tables, top down; goto_table only goes forward. Each flow is
checked against its table's contract: what it may match, what it may set, where it may send the
frame. Generated from flows/pipeline.go: ` + "`make docs`" + `. A whole host's tables, annotated, are in
[flows/testdata/two-tenants.golden](../flows/testdata/two-tenants.golden).

| table | does | goes to |
|---|---|---|
`)
	for _, table := range Tables() {
		fmt.Fprintf(&b, "| %d `%s` | %s | %s |\n", table.ID, table.Name, table.Purpose, exits(table))
	}
	b.WriteString("\n## Contracts\n\n| table | may match | may set |\n|---|---|---|\n")
	for _, table := range Tables() {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", table.Name, fieldNames(table.Match), fieldNames(table.Set))
	}
	b.WriteString(`
## Registers

| register | holds |
|---|---|
| metadata | tenant number << 32 \| network number |
| reg0 | origin: 1 a port, 2 a tunnel, 3 the gateway, 4 handed over by another gateway host |
| reg1 | number of the port that sent the frame |
| reg2 | number of the port that gets it; 0 another host, 0xffffffff the gateway port |
| reg3 | the reason of a refusal |
| reg4 | what it counts as when it leaves: 0 internal, 1 egress |

## Cookies

A cookie is its flow's owner: kind (8 bits), tenant number (24), object (32). All flows of one object
on one host, and no others, carry the same cookie; ` + "`sluice flows`" + ` shows it as a name.

| kind | owner | object |
|---|---|---|
`)
	for _, sec := range sections {
		fmt.Fprintf(&b, "| %d | %s | %s |\n", sec.kind, sec.owner, sec.object)
	}
	b.WriteString("\n## Reasons of refusal\n\n| reg3 | reason | because |\n|---|---|---|\n")
	for i, r := range Reasons() {
		fmt.Fprintf(&b, "| %d | `%s` | %s |\n", i+1, r.Name, r.Text)
	}
	return b.String()
}

func exits(t Table) string {
	var names []string
	for _, id := range t.Next {
		names = append(names, TableName(id))
	}
	if t.Output {
		names = append(names, "a port")
	}
	if len(names) == 0 {
		return "nowhere"
	}
	return strings.Join(names, ", ")
}

func fieldNames(list []of.Field) string {
	var names []string
	for _, f := range list {
		names = append(names, strings.TrimSuffix(f.String(), "_oxm")) // as matches name it
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", ")
}
