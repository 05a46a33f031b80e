package openflow

func (f *Flow) AppendText(b []byte) []byte { return b }
func (f *Flow) String() string              { return "" }
func ParseFlow(s string) (Flow, error)      { return Flow{}, nil }
func describeUnknown(string) string         { return "" }
