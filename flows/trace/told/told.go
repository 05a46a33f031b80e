// Package told is what a trace of a packet tells: types alone, as the API sends them and its client reads them.
package told

import (
	"fmt"
	"slices"
	"strings"
)

// State is what the packet is to its connection.
type State string

// States. All but StateNew are reached by packets that are sent before, through the same tables.
const (
	StateNew         State = "new"         // the first packet of a connection
	StateEstablished State = "established" // a later one of the end that opened it
	StateReply       State = "reply"       // an answer to the other end, which opened it
	StateRelated     State = "related"     // an ICMP error about a packet of the other end
	StateInvalid     State = "invalid"     // of no connection, and unable to open one
)

// Verdict is what became of a packet, in a word.
type Verdict string

// Verdicts. Of several copies the first in this order counts.
const (
	Delivered Verdict = "delivered" // to a port
	Answered  Verdict = "answered"  // by a switch, back to the port that sent it
	Left      Verdict = "left"      // by a gateway host, to its kernel
	Unknown   Verdict = "unknown"   // it met a host or a flow of which nothing can be said
	Lost      Verdict = "lost"      // it left for nowhere
	Dropped   Verdict = "dropped"   // a flow, or the lack of one, ended it
)

// Answer is what became of the packet that a Question asks for.
type Answer struct {
	From    string  `json:"from"`
	To      string  `json:"to"`
	State   State   `json:"state"`
	Verdict Verdict `json:"verdict"`
	Text    string  `json:"text"`             // the verdict in a sentence
	Reason  string  `json:"reason,omitempty"` // of a drop
	Allow   string  `json:"allow,omitempty"`  // what would let it pass
	// Complete is false where something is not known: the verdict is of what is.
	Complete bool `json:"complete"`
	// Before are the packets that came before it, as they had to. Where one of them did not arrive the
	// packet was never sent, and the verdict and hops are that one's.
	Before []Walk   `json:"before,omitempty"`
	Walk            // of the packet
	Notes  []string `json:"notes,omitempty"`
}

// Walk is one packet's way.
type Walk struct {
	About  string `json:"about,omitempty"` // empty: it is the packet that was asked for
	Packet string `json:"packet"`
	Ends   []End  `json:"ends"`
	Hops   []Hop  `json:"hops"`
}

// End is what became of the packet, or of one copy.
type End struct {
	Verdict Verdict `json:"verdict"`
	Host    string  `json:"host"`
	Table   string  `json:"table,omitempty"` // of the flow that decided
	Port    string  `json:"port,omitempty"`  // that got it
	Packet  string  `json:"packet,omitempty"`
	Text    string  `json:"text"`
	Reason  string  `json:"reason,omitempty"`
	Allow   string  `json:"allow,omitempty"`

	Quiet bool `json:"-"` // a copy that was not to go anywhere: the verdict is of the others
}

// Hop is the packet's way through one switch.
type Hop struct {
	Host    string `json:"host"`
	From    string `json:"from"` // how it came in
	Packet  string `json:"packet"`
	Steps   []Step `json:"steps"`
	Problem string `json:"problem,omitempty"` // why there are no steps, or no more
}

// Step is a visit of one table.
type Step struct {
	Table     uint8    `json:"table"`
	TableName string   `json:"tableName"`
	Depth     int      `json:"depth,omitempty"` // of copies and connection tracking
	Priority  uint16   `json:"priority,omitempty"`
	Cookie    string   `json:"cookie,omitempty"`
	Owner     string   `json:"owner"`          // of the flow that decided
	Flow      string   `json:"flow,omitempty"` // in ovs-ofctl's syntax
	Note      string   `json:"note,omitempty"` // what it counts, or why it refuses
	Did       []string `json:"did,omitempty"`  // what it changed, and what happened
	Foreign   bool     `json:"foreign,omitempty"`
}

// Asked is the packet that was asked for, and between whom.
func (a *Answer) Asked() string {
	text := a.Packet
	if a.About != "" {
		text = a.About + ": " + text
	}
	return fmt.Sprintf("from %s to %s: %s", a.From, a.To, text)
}

// Ending is where the packet ended, every copy of it.
func (w *Walk) Ending() string {
	texts := make([]string, len(w.Ends))
	for i, e := range w.Ends {
		texts[i] = e.Text
	}
	return strings.Join(texts, "; ")
}

// What is what the step did, in words.
func (s *Step) What() string {
	did := slices.Clone(s.Did)
	if s.Note != "" {
		did = append(did, s.Note)
	}
	return strings.Join(did, "; ")
}

// Words are what was asked for of the packet's connection.
func (s State) Words() string {
	switch s {
	case StateEstablished:
		return "as a later packet of a connection that the sender opened"
	case StateReply:
		return "as the answer to a connection that the receiver opened"
	case StateRelated:
		return "as an ICMP error about a packet of the receiver"
	case StateInvalid:
		return "as a packet of no connection"
	}
	return "as the first packet of a new connection"
}
