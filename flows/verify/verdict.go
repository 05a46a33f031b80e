package verify

import (
	"fmt"
	"strings"

	of "sluice/datapath/openflow"
	"sluice/flows"
	"sluice/flows/prove"
	"sluice/flows/verify/found"
	"sluice/flows/witness"
	"sluice/store"
)

type ( // see package found
	// Verdict is what is known of a host, or of one flow.
	Verdict = found.Verdict
	// Finding is one flow that breaks a rule.
	Finding = found.Finding
	// Counterexample is what was sent, and what became of it.
	Counterexample = found.Counterexample
	// Send is one frame and its way.
	Send = found.Send
	// Crossing is a visit of one table.
	Crossing = found.Crossing
	// Snapshot is what a dump is proved by.
	Snapshot = found.Snapshot
	// Object is one object as etcd holds it.
	Object = found.Object
)

// Verdicts.
const (
	Proved   = found.Proved
	False    = found.False
	Unproved = found.Unproved
	Unread   = found.Unread
)

// Budget bounds how much is searched for counterexamples.
type Budget struct {
	Findings int // for how many findings one is searched; the others stay unproved
	Tries    int // frames, for each
	Seed     uint64
}

// Explain puts findings into words and searches a counterexample for the first of them, over all
// tables that are known.
func Explain(s *store.State, tables []prove.Tables, list []prove.Finding, b Budget) []Finding {
	out := make([]Finding, len(list))
	rules := prove.Rules()
	var cluster *witness.Cluster
	for i := range list {
		f := &list[i]
		out[i] = inWords(s, f, rules)
		if i >= b.Findings {
			continue
		}
		if cluster == nil {
			cluster = witness.New(s, tables)
		}
		if e := cluster.Search(f, witness.Budget{Tries: b.Tries, Seed: b.Seed}); e != nil {
			out[i].Verdict, out[i].Counterexample = False, shown(s, e)
		}
	}
	return out
}

// Judge is the verdict over a host's findings.
func Judge(list []Finding) Verdict {
	verdict := Proved
	for i := range list {
		if list[i].Verdict == False {
			return False
		}
		verdict = Unproved
	}
	return verdict
}

func inWords(s *store.State, f *prove.Finding, rules map[prove.Rule]string) Finding {
	line := flows.Annotate(s, &f.Flow)
	out := Finding{
		Verdict: Unproved, Rule: string(f.Rule), Asks: rules[f.Rule], Text: f.Text,
		Table: line.Table, Owner: line.Owner, Flow: strings.TrimSpace(line.Text),
	}
	if f.ShadowedBy != nil {
		out.ShadowedBy = strings.TrimSpace(f.ShadowedBy.String())
	}
	return out
}

func shown(s *store.State, e *witness.Counterexample) *Counterexample {
	out := &Counterexample{Law: e.Law}
	for i := range e.Sends {
		sent := &e.Sends[i]
		send := Send{From: fmt.Sprint(sent.From), Packet: sent.Packet.String(), Steps: []Crossing{}}
		for _, hop := range sent.Walk.Hops {
			if hop.Result == nil {
				continue
			}
			for _, step := range hop.Result.Trace {
				send.Steps = append(send.Steps, stepOf(s, hop.Host, step.Table, step.Flow))
			}
		}
		out.Sends = append(out.Sends, send)
	}
	return out
}

func stepOf(s *store.State, host string, table uint8, f *of.Flow) Crossing {
	if f == nil {
		return Crossing{Host: host, Table: flows.TableName(table)}
	}
	line := flows.Annotate(s, f)
	return Crossing{Host: host, Table: line.Table, Owner: line.Owner, Flow: strings.TrimSpace(line.Text)}
}
