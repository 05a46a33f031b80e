package prove

import (
	"fmt"

	"sluice/flows"

	of "sluice/datapath/openflow"
)

// Tables are what one switch holds.
type Tables struct {
	Switch flows.Switch
	Flows  []of.Flow
}

// Rule is what a flow may break.
type Rule string

// The rules.
const (
	RuleEntry   Rule = "entry"   // what a frame comes by tells exactly whose it is
	RuleWrites  Rule = "writes"  // metadata, registers, zones, marks and addresses are written for the flow's own tenant
	RuleOutput  Rule = "output"  // a frame leaves by its tenant's ports, tunnels and gateway hosts alone
	RuleOwner   Rule = "owner"   // a flow matches frames of its cookie's tenant alone; what is nobody's is on a short list
	RuleAction  Rule = "action"  // a flow goes forward from table to table, and does nothing that is not understood
	RuleGateway Rule = "gateway" // egress and hand-over are for the tenant's gateway hosts alone
	RuleSpoof   Rule = "spoof"   // a container speaks with its own addresses alone
	RuleRefused Rule = "refused" // what nobody may send is refused before it passes
	RuleComplex Rule = "complex" // the proof needs more steps than it may take
)

// Rules are all of them, each with what it asks.
func Rules() map[Rule]string {
	return map[Rule]string{
		RuleEntry:   "the port, the tunnel key or the transit address that a frame comes by tells exactly whose it is",
		RuleWrites:  "metadata, registers, conntrack zones, marks and translated addresses are those of the flow's own tenant",
		RuleOutput:  "a frame leaves by a port, a tunnel or a gateway of its own tenant, under its own key or transit address",
		RuleOwner:   "a flow matches the frames of the tenant that its cookie names, and what is nobody's does only what is everybody's",
		RuleAction:  "a flow goes forward from table to table as they are meant, and does nothing that this proof does not understand",
		RuleGateway: "egress and hand-over happen on the tenant's gateway hosts alone, in the order of their chain",
		RuleSpoof:   "a container speaks with the MACs and addresses of its port alone, and nobody changes them on the way",
		RuleRefused: "what nobody may send is refused by a flow of higher priority than any that would pass it",
		RuleComplex: "the proof takes no more steps than it may",
	}
}

// Finding is one flow that breaks one rule. It is no proof that a frame does what it should not: the
// flow may be shadowed, or no frame may come there.
type Finding struct {
	Host string
	Flow of.Flow
	Rule Rule
	Text string // one sentence: what the flow does, and what would come of it
	// ShadowedBy is a flow of higher priority that matches all that Flow does, so that Flow never
	// fires; nil: there is none.
	ShadowedBy *of.Flow
	// Frames are some of the frames that the flow must not pass, where the rule is of frames; nil:
	// all that it matches.
	Frames of.Match
}

// String is the finding as one line.
func (f *Finding) String() string {
	shadow := ""
	if f.ShadowedBy != nil {
		shadow = fmt.Sprintf("; it never fires, since %s comes before it", f.ShadowedBy)
	}
	return fmt.Sprintf("host %s: rule %s: %s: %s%s", f.Host, f.Rule, f.Text, &f.Flow, shadow)
}
