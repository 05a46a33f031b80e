package openflow

const niciraAsyncConfig = 27 // NXT_SET_ASYNC_CONFIG2

// AsyncConfig says what a switch sends unasked on this connection: a bit for each reason of
// each message, in every role alike.
type AsyncConfig struct {
	PacketIn, PortStatus, FlowRemoved, RoleStatus uint32
}

// AppendAsyncConfig appends it in Nicira's form of OpenFlow 1.4's message (7.3.10), since
// 1.3's own has no word for the role status.
func AppendAsyncConfig(b []byte, xid uint32, c AsyncConfig) []byte {
	start := len(b)
	b = appendExperimenter(b, xid, ExperimenterAsyncConfig)
	for kind, reasons := range [...]uint32{c.PacketIn, c.PortStatus, c.FlowRemoved, c.RoleStatus} {
		for role := range 2 { // a slave's property, then a master's and equal's
			b = be.AppendUint16(be.AppendUint16(b, uint16(2*kind+role)), 8)
			b = be.AppendUint32(b, reasons)
		}
	}
	return EndMessage(b, start)
}
