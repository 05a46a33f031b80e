package openflow

import (
	"encoding/hex"
	"fmt"
	"strconv"
)

// defaultPriority is the priority of a flow whose text names none.
const defaultPriority = 32768

// flagNames are in the order of their bits.
var flagNames = [...]string{"send_flow_rem", "check_overlap", "reset_counts", "no_packet_counts", "no_byte_counts"}

// String is the flow in the syntax of ovs-ofctl(8).
func (f *Flow) String() string { return string(f.AppendText(nil)) }

// AppendText appends the flow in the syntax of ovs-ofctl(8), as its dump-flows --no-stats
// --no-names prints it. The text loads with add-flow and reads back with ParseFlow, but for
// what this package does not model, which only ParseFlow reads: oxm=0x.. and opaque(..).
func (f *Flow) AppendText(b []byte) []byte {
	if f.Cookie != 0 {
		b = append(appendHex(append(b, "cookie="...), U64(f.Cookie)), ", "...)
	}
	b = appendSetting(b, "table=", uint16(f.Table))
	b = appendSetting(b, "idle_timeout=", f.IdleTimeout)
	b = appendSetting(b, "hard_timeout=", f.HardTimeout)
	for i, name := range flagNames {
		if f.Flags&(1<<i) != 0 {
			b = append(append(b, name...), ' ')
		}
	}
	if rest := f.Flags >> len(flagNames); rest != 0 {
		b = append(appendHex(append(b, "flags="...), U64(uint64(rest<<len(flagNames)))), ' ')
	}
	b = f.appendMatchText(b)
	return AppendActionsText(append(b, "actions="...), f.Actions)
}

// Age is for how long the flow was installed, as ovs-ofctl writes it: in seconds, to a millisecond where that is exact.
func (f *FlowStats) Age() string {
	const millisecond = 1_000_000
	switch {
	case f.Nanoseconds == 0:
		return fmt.Sprintf("%ds", f.Seconds)
	case f.Nanoseconds%millisecond == 0:
		return fmt.Sprintf("%d.%03ds", f.Seconds, f.Nanoseconds/millisecond)
	}
	return fmt.Sprintf("%d.%09ds", f.Seconds, f.Nanoseconds)
}

func appendSetting(b []byte, name string, v uint16) []byte {
	if v == 0 {
		return b
	}
	return append(strconv.AppendUint(append(b, name...), uint64(v), 10), ", "...)
}

// appendHex writes as C's %#x does: zero without 0x.
func appendHex(b []byte, v Value) []byte {
	if v.IsZero() {
		return append(b, '0')
	}
	b = append(b, "0x"...)
	if v.Hi == 0 {
		return strconv.AppendUint(b, v.Lo, 16)
	}
	return fmt.Appendf(strconv.AppendUint(b, v.Hi, 16), "%016x", v.Lo)
}

func appendPlainHex(b []byte, s string) []byte { return append(b, hex.EncodeToString([]byte(s))...) }

// portNames are the reserved ports, by their low bits from 0xf7 on.
var portNames = [...]string{"UNSET", "IN_PORT", "TABLE", "NORMAL", "FLOOD", "ALL", "CONTROLLER", "LOCAL", "ANY"}

func portName(port uint32) string {
	if port >= PortUnset {
		return portNames[port-PortUnset]
	}
	return ""
}

func appendPortName(b []byte, port uint32) []byte {
	if name := portName(port); name != "" {
		return append(b, name...)
	}
	return strconv.AppendUint(b, uint64(port), 10)
}

// describeUnknown names the OXM fields that this package does not know.
func describeUnknown(unknown string) string {
	e, err := nextOXM([]byte(unknown))
	if err != nil {
		return "an OXM field that cannot be read"
	}
	if e.class == classExperimenter {
		return fmt.Sprintf("unknown OXM field %d of experimenter %#x", e.number, e.vendor)
	}
	return fmt.Sprintf("unknown OXM field %d of class %#04x", e.number, e.class)
}
