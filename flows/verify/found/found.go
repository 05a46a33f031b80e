// Package found is what a proof of flows finds, and what flows are proved by: types alone, as the API sends them and
// its client reads them.
package found

import (
	"encoding/json"
	"fmt"

	"sluice/store"
)

// Verdict is what is known of a host, or of one flow.
type Verdict string

// Verdicts.
const (
	Proved   Verdict = "proved"   // no frame crosses, escapes or lies, whatever is sent
	False    Verdict = "false"    // one does: there is a counterexample
	Unproved Verdict = "unproved" // a flow breaks a rule of the proof; no frame was found that uses it
	Unread   Verdict = "unread"   // the host's flows could not be read
)

// Finding is one flow that breaks a rule.
type Finding struct {
	Verdict        Verdict         `json:"verdict" enum:"false,unproved"`
	Rule           string          `json:"rule"`
	Asks           string          `json:"asks"`  // what the rule asks of every flow
	Text           string          `json:"text"`  // what the flow does, and what would come of it
	Table          string          `json:"table"` // its name
	Owner          string          `json:"owner"` // whose the flow says that it is
	Flow           string          `json:"flow"`  // in ovs-ofctl's syntax
	ShadowedBy     string          `json:"shadowedBy,omitempty"`
	Counterexample *Counterexample `json:"counterexample,omitempty"`
}

// Counterexample is what was sent, and what became of it.
type Counterexample struct {
	Law   string `json:"law"`   // which one is broken, and how
	Sends []Send `json:"sends"` // in order: the last one breaks the law, those before open its connection
}

// Send is one frame and its way.
type Send struct {
	From   string     `json:"from"`
	Packet string     `json:"packet"`
	Steps  []Crossing `json:"steps"`
}

// Crossing is a visit of one table.
type Crossing struct {
	Host  string `json:"host"`
	Table string `json:"table"`
	Owner string `json:"owner,omitempty"` // of the flow that decided
	Flow  string `json:"flow,omitempty"`  // empty: none matched
}

// Snapshot is what a dump is proved by: the objects of the store at one revision, and the numbers that each
// switch gave to its interfaces.
type Snapshot struct {
	Revision store.Revision               `json:"revision"`
	Objects  []Object                     `json:"objects"`
	Ports    map[string]map[string]uint32 `json:"ports"` // host -> interface -> OpenFlow port
}

// Object is one object as etcd holds it.
type Object struct {
	Key     string          `json:"key"` // without the store's prefix
	Created store.Revision  `json:"created"`
	Value   json.RawMessage `json:"value"`
}

// State is the store as it was.
func (s *Snapshot) State() (*store.State, error) {
	b := store.Batch{Revision: s.Revision}
	for _, o := range s.Objects {
		key, err := store.ParseKey(store.Prefix + o.Key)
		if err != nil {
			return nil, fmt.Errorf("saved state: %w", err)
		}
		value, err := store.Decode(key, o.Value)
		if err != nil {
			return nil, fmt.Errorf("saved state: %w", err)
		}
		b.Events = append(b.Events, store.Event{Key: key, Object: value, Created: o.Created, Modified: o.Created})
	}
	state := store.NewState()
	state.Apply(b)
	return state, nil
}
