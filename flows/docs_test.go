package flows

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	of "sluice/datapath/openflow"
	"sluice/internal/golden"
)

// TestDocsOfThePipeline keeps docs/pipeline.md the page that the pipeline declares.
func TestDocsOfThePipeline(t *testing.T) {
	golden.Check(t, "../docs/pipeline.md", []byte(pipelinePage()), *update)
}

func pipelinePage() string {
	var b strings.Builder
	b.WriteString(`# The pipeline

Every frame on ` + "`br-int`" + ` walks these tables, top down; goto_table only goes forward. Tests hold each
flow that they compile against its table's contract: what it may match, what it may set, where it
may send the frame, and the step, which is a priority, at which it stands. Generated from
flows/pipeline.go: ` + "`make docs`" + `. What every bridge holds is in
[flows/testdata/base.golden](../flows/testdata/base.golden), annotated, and what two tenants add in
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
	b.WriteString("\n## Steps\n\nThe first step that matches a frame is the one of the highest priority.\n\n" +
		"| table | priority | frames |\n|---|---|---|\n")
	for _, table := range Tables() {
		for _, s := range table.Steps {
			fmt.Fprintf(&b, "| `%s` | %d | %s |\n", table.Name, s.Priority, s.About)
		}
	}
	b.WriteString("\n## Registers\n\n| register | holds |\n|---|---|\n| metadata | tenant number << 32 \\| network number |\n")
	for _, r := range []struct {
		field of.Field
		holds string
	}{
		{regOrigin, fmt.Sprintf("origin: %d a port, %d a tunnel, %d the gateway, %d handed over by another gateway host, %d the resolver, %d relayed in a star, %d the trunk",
			originPort, originTunnel, originGateway, originHandOver, originResolver, originRelay, originTrunk)},
		{regSource, "number of the port that sent the frame"},
		{regDestination, fmt.Sprintf("number of the port that gets it; 0 another host, %#x the gateway port, %#x the resolver port", uint32(gatewayPort), uint32(resolverPort))},
		{regReason, "the reason of a refusal"},
		{regScope, fmt.Sprintf("what it counts as when it leaves: %d internal, %d egress, %d peering, %d published", scopeInternal, scopeEgress, scopePeering, scopePublished)},
		{regFrom, "number of the tenant that a frame was of, once it entered a network of a peered tenant"},
	} {
		fmt.Fprintf(&b, "| %s | %s |\n", r.field, r.holds)
	}
	b.WriteString(`
## Cookies

A cookie is its flow's owner: kind (8 bits), tenant number (24), object (32). All flows of one object
on one host, and no others, carry the same cookie; ` + "`sluice flows`" + ` shows it as a name.

| kind | owner | object |
|---|---|---|
`)
	for _, sec := range sections {
		fmt.Fprintf(&b, "| %d | %s | %s |\n", sec.kind, sec.owner, sec.object)
	}
	b.WriteString("\n## Reasons of refusal\n\n| reg3 | reason | because | what would let it pass |\n|---|---|---|---|\n")
	for i, r := range Reasons() {
		fmt.Fprintf(&b, "| %d | `%s` | %s | %s |\n", i+1, r.Name, r.Text, r.Allow)
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
