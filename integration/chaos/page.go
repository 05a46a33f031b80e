package chaos

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// kindAttach is the row of what the workload itself does to the links of a host.
const kindAttach = "attach or detach"

// nobody is whom a fault may harm that touches no switch.
const nobody = "nobody"

// mayHarm says for each kind of fault, in words, what its harm says in code.
var mayHarm = map[string]string{
	kindAttach:                 "pairs that cross a tunnel of that host, 3 packets each",
	"kill controller":          nobody,
	"kill etcd":                nobody,
	"kill agent":               nobody,
	"kill switch":              "pairs of that host",
	"kill agent and switch":    "pairs of that host",
	"pause controller":         nobody,
	"pause etcd":               nobody,
	"pause agent":              nobody,
	"pause switch":             "pairs of that host",
	"slow etcd":                nobody,
	"cut host from host":       "pairs between the two",
	"cut host from controller": nobody,
	"cut host from etcd":       nobody,
	"cut controller from etcd": nobody,
	"edit flows":               "pairs of that host",
	"unplug an interface":      "pairs of that host",
}

// Page writes for people what is kept of a run: docs/reliability.md.
func Page(r *Report) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, pageHead, r.Took.Round(time.Minute), counted(r))
	for _, f := range r.Faults {
		fmt.Fprintf(&b, "| %s | %d | %s | %d | %s | %s |\n", f.Kind, f.Times, mayHarm[f.Kind], f.Lost, seconds(f.Mended), seconds(f.Worst))
	}
	fmt.Fprintf(&b, "\nTaken %s with seed %d on %s.\n%s", r.Taken.Format(time.DateOnly), r.Seed, r.Machine, pageFoot)
	return b.Bytes()
}

// counted is what went on besides the faults, in words.
func counted(r *Report) string {
	var b strings.Builder
	for _, what := range slices.Sorted(maps.Keys(r.Counts)) {
		fmt.Fprintf(&b, "- %s: %d\n", what, r.Counts[what])
	}
	return b.String()
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

const pageHead = `# Reliability

<!-- Generated from reliability/run.json: go test ./integration/chaos -run Docs -update -->

Parts of a running lab were killed, paused, cut off and spoilt at random, two at a time, for %s.
Meanwhile tenants, networks and containers came and went, and pairs of containers sent each other a
packet every 20 ms. The lab has 3 hosts, 2 controllers and an etcd of 3 members, each a process of
its own, all on one machine.

What was looked at all the time, and ends a run at its first violation:

- no frame of a tenant was seen by a container of another;
- no write that was acknowledged was lost;
- an attach that succeeded had its flows, and its first packet arrived;
- a pair that no fault may harm lost no packet;
- what broke was mended within 90 s by itself, and at the end each switch held exactly what is
  compiled anew, and nothing was left over.

None of these was violated. What went on besides:

%s
| fault | times | whom it may harm | packets lost | mended, median | mended, worst |
|---|---|---|---|---|---|
`

const pageFoot = `
How to read it:

- *Packets lost* are those of all pairs during the faults of that kind. Most were sent while the
  fault lasted: a host that is dead forwards nothing. Where nobody may be harmed the number must be 0.
- *Mended* is the time from the end of a fault (its process was started again, its cut joined) until
  every harmed pair talked again and each switch held what it should. It is looked at every 200 ms.
- *Attach or detach* is no fault. Open vSwitch's userspace datapath, which the lab uses, reads the
  kernel's routes anew at every change of a link, and may lose up to 3 packets of each tunnel then
  ([broken on purpose](design/026-broken-on-purpose.md)). The kernel's datapath does not do that.
- *Edit flows* is a hand that deletes or adds flows on a switch. The controller hears of it, and an
  audit 2 s later mends it ([what an audit reads](design/012-what-an-audit-reads.md)).

Run it yourself. The same seed gives the same choices:

` + "```sh\nsluice lab chaos --for 30m --seed 7\n```\n"
