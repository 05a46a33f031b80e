package store

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"sluice/internal/golden"
)

// update makes `make docs` write the generated page anew.
var update = flag.Bool("update", false, "write docs/keys.md anew")

// TestDocsOfKeys keeps docs/keys.md the page that the descriptions make.
func TestDocsOfKeys(t *testing.T) {
	golden.Check(t, "../docs/keys.md", []byte(keysPage()), *update)
}

// keysPage is what etcd holds, for people.
func keysPage() string {
	var b strings.Builder
	b.WriteString("# What etcd holds\n\nWritten by `make docs` from the descriptions in `store/`; do not edit.\n\n" +
		"Every key begins with `" + Prefix + "`; every value is a JSON object. Read them with\n`etcdctl get --prefix " + Prefix + "`.\n\n" +
		"| key | is | written by | read by | a host's agent may read | and write | belongs to |\n|---|---|---|---|---|---|---|\n")
	for _, d := range kinds {
		f := d.about()
		var parts, parents []string
		for _, p := range f.parts {
			parts = append(parts, "{"+string(p)+"}")
		}
		for _, r := range f.refers {
			parents = append(parents, fmt.Sprintf("%s (%s)", r.to.Label(), r.onDelete))
		}
		fmt.Fprintf(&b, "| `%s/%s` | %s | %s | %s | %s | %s | %s |\n", d.kind(), strings.Join(parts, "/"), f.label, f.writer, f.reader,
			f.hostReads, f.hostWrites, strings.Join(parents, ", "))
	}
	b.WriteString("\nWhere hosts have certificates, etcd refuses an agent all but what it may do: *its own* are the keys\n" +
		"that begin with its host's name.\n")
	b.WriteString("\nIn the last column: an object that *refuses* stops the delete of what it belongs to, one that\n" +
		"*follows* is deleted in the same transaction, one that is *cleared* is deleted after it.\n\n" +
		"## Unique values\n\nWho creates an object takes its unique values by a key under `alloc/` in the same transaction.\n" +
		"A freed value that leaves a tombstone is not given out again before every registered host is\n" +
		"realized at a revision after the delete. Where edits by hand gave one value to two objects, the\n" +
		"older of them is programmed and the other has a problem.\n\n" +
		"| of a | value | taken under `alloc/` | a host's agent may write that | leaves a tombstone | the older wins |\n|---|---|---|---|---|---|\n")
	for _, d := range kinds {
		for _, u := range d.unique() {
			dir := ""
			if u.dir != "" {
				dir = "`" + u.dir + "/`"
			}
			writes := u.dir != "" && HostMayWrite("h1", AllocKey(u.dir, "x").String())
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", d.about().label, u.name, dir, yes(writes), yes(u.tombstone), yes(u.enforced))
		}
	}
	return b.String()
}

func yes(v bool) string {
	if v {
		return "yes"
	}
	return "no"
}
