package host

import (
	"time"

	"sluice/store"
)

// Isolation says in a word what is proved of a host's switch.
type Isolation string

// What may be proved of a switch.
const (
	IsolationProved   Isolation = "proved"   // what it held when it was last read keeps tenants apart
	IsolationUnproved Isolation = "unproved" // a flow that it held breaks a rule of the proof
	IsolationUnknown  Isolation = "unknown"  // nothing was proved since it dialled in
)

// Proof is what a proof over the flows of a host's switch came to.
type Proof struct {
	Isolation Isolation `json:"isolation"`
	// At is as of when it holds: when all flows were last read and proved, or those of them that changed since, or when an audit
	// found the flows to be what was proved. Zero: nothing was proved yet.
	At       time.Time `json:"at,omitzero"`
	Whole    time.Time `json:"whole,omitzero"`     // when all flows were last read and proved; zero: they never were
	Flows    int       `json:"flows,omitempty"`    // how many they were then
	Findings int       `json:"findings,omitempty"` // flows that break a rule
	First    string    `json:"first,omitempty"`    // the first of them: the flow, its owner and the rule
}

// Proved notes what was proved over all flows of the switch that were read at a time, and what was found wrong with
// them. It reports whether that is another outcome than before.
func (h *Host) Proved(at time.Time, flows int, findings store.Problems) (news bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.proof
	h.proof = Proof{Isolation: IsolationProved, At: at, Whole: at, Flows: flows, Findings: len(findings)}
	if len(findings) > 0 {
		h.proof.Isolation, h.proof.First = IsolationUnproved, findings[0].Text
	}
	h.findings = findings[:min(len(findings), findingsTold)]
	return before.Isolation != h.proof.Isolation || before.Findings != h.proof.Findings || before.First != h.proof.First
}

// ProofStands notes that what was last proved holds as of a time: what changed since was proved too, or nothing changed.
func (h *Host) ProofStands(at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.proof.Isolation != "" {
		h.proof.At = at
	}
}

// findingsTold is how many findings of one host are told as problems: sluice verify tells all.
const findingsTold = 10

// Proof is what was last proved.
func (h *Host) Proof() Proof {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.proved()
}

// proved is what was last proved. Of a switch without a session nothing is known any more but when that was.
func (h *Host) proved() Proof {
	if h.connected && h.proof.Isolation != "" {
		return h.proof
	}
	return Proof{Isolation: IsolationUnknown, At: h.proof.At, Whole: h.proof.Whole}
}

// Round tells rounds of programming apart: settled reports whether nothing is marked or under way. Where both are as
// they were before the flows were read, these are of the state that was seen in between.
func (h *Host) Round() (round uint64, settled bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rounds, h.marks.Empty() && h.underWay.Empty()
}
