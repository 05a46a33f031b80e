package openflow

// WireFlow is a flow whose match and instructions are bytes, as a flow mod carries them to
// a switch and a switch's statistics carry them back. Equal bytes make equal flows; the
// same flow may have other bytes too, since fields may come in another order.
type WireFlow struct {
	Table        uint8
	Priority     uint16
	IdleTimeout  uint16 // seconds; 0: none
	HardTimeout  uint16 // seconds; 0: none
	Flags        Flags
	Cookie       uint64
	Match        []byte // with its padding
	Instructions []byte
}

// AppendWire appends the match and the instructions of f to b, where the WireFlow that it
// returns refers to them, the instructions right behind the match. It allocates nothing where b has the room. What AppendFlowMod says
// of flows that cannot be sent holds here.
func (f *Flow) AppendWire(b []byte) ([]byte, WireFlow) {
	start := len(b)
	b = appendMatch(b, f.Match, f.Unknown)
	middle := len(b)
	b = AppendActions(b, f.Actions)
	return b, WireFlow{
		Table: f.Table, Priority: f.Priority, IdleTimeout: f.IdleTimeout, HardTimeout: f.HardTimeout,
		Flags: f.Flags, Cookie: f.Cookie,
		Match: b[start:middle:len(b)], Instructions: b[middle:len(b):len(b)],
	}
}

// Decode reads the flow, as a value of its own.
func (w *WireFlow) Decode() (Flow, error) {
	f := Flow{
		Table: w.Table, Priority: w.Priority, IdleTimeout: w.IdleTimeout, HardTimeout: w.HardTimeout,
		Flags: w.Flags, Cookie: w.Cookie,
	}
	match, unknown, n, err := decodeMatch(w.Match)
	if err == nil && n != len(w.Match) {
		err = malformed("%d bytes after a match", len(w.Match)-n)
	}
	if err != nil {
		return Flow{}, err
	}
	f.Match, f.Unknown = match, unknown
	f.Actions, err = new(decoder).decodeInstructions(w.Instructions)
	return f, err
}

// DecodeWireFlows reads one part of a flow statistics reply as DecodeFlowStats does, but only
// as far as to tell the flows apart. What it yields refers to the message and is overwritten
// by the next.
func DecodeWireFlows(message []byte, yield func(*WireFlow) bool) (more bool, err error) {
	var w WireFlow
	return eachFlowStats(message, func(b []byte) (bool, error) {
		size, err := matchSize(b[flowStatsLength:])
		if err != nil {
			return false, err
		}
		w = WireFlow{
			Table: b[2], Priority: be.Uint16(b[12:]), IdleTimeout: be.Uint16(b[14:]), HardTimeout: be.Uint16(b[16:]),
			Flags: Flags(be.Uint16(b[18:])), Cookie: be.Uint64(b[24:]),
			Match: b[flowStatsLength : flowStatsLength+size], Instructions: b[flowStatsLength+size:],
		}
		return yield(&w), nil
	})
}
