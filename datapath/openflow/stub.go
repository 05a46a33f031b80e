package openflow

// Command is what a flow mod does (OpenFlow 1.3, A.3.4.1).
type Command uint8

// The commands of a flow mod.
const (
	Add Command = iota
	Modify
	ModifyStrict
	Delete
	DeleteStrict
)

func AppendFlowMod(b []byte, xid uint32, c Command, f *Flow) []byte { return b }
func AppendActions(b []byte, a []Action) []byte                      { return b }
func (m Match) Equal(n Match) bool                                   { return false }
func (f *Flow) Equal(g *Flow) bool                                   { return false }
func (f *Flow) AppendText(b []byte) []byte                           { return b }
func (f *Flow) String() string                                       { return "" }
func ParseFlow(s string) (Flow, error)                               { return Flow{}, nil }
