package client

// Views of a host's flows.
const (
	ViewInstalled = "installed" // read from the switch now
	ViewDesired   = "desired"   // compiled from the state
	ViewDiff      = "diff"      // what programming would change; empty when all is right
)

// Flow is one flow of one host.
type Flow struct {
	Host      string `json:"host"`
	Table     uint8  `json:"table"`
	TableName string `json:"tableName"`
	Priority  uint16 `json:"priority"`
	Cookie    string `json:"cookie"` // 0x and 16 hexadecimal digits
	Owner     string `json:"owner"`  // the object that the flow serves
	Packets   uint64 `json:"packets"`
	Bytes     uint64 `json:"bytes"`
	Text      string `json:"text"`                                                       // in ovs-ofctl's syntax
	Words     string `json:"words"`                                                      // the same in the cluster's words
	Age       string `json:"age,omitempty"`                                              // for how long it was installed, as ovs-ofctl writes it
	Note      string `json:"note,omitempty"`                                             // what it counts, or why it refuses
	Change    string `json:"change,omitempty" enum:"add,modify,delete" required:"false"` // in the diff: what is missing from the switch, wrong, or too much
}

// problemHeader tells the problems of objects that compile to less than they ask for.
const problemHeader = "Sluice-Problem"
