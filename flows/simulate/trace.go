package simulate

import (
	"fmt"
	"net/netip"
	"strings"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// Result is what became of one packet in one switch.
type Result struct {
	InPort  uint32
	Packet  Packet // as it came
	Outputs []Output
	Trace   []*Step // the tables that it visited, in order
}

// Step is a visit of one table.
type Step struct {
	Depth int // of resubmits and connection tracking
	Table uint8
	Flow  *of.Flow // nil: no flow matched, the packet is dropped
	// Changes are what the flow's own actions wrote, in their order.
	Changes []Change
	Notes   []string // what the actions did beyond their text
	Stopped []string // those of them that say why a copy went no further
}

// stop notes why a copy of the packet goes no further.
func (s *Step) stop(format string, args ...any) {
	s.note(format, args...)
	s.Stopped = append(s.Stopped, s.Notes[len(s.Notes)-1])
}

// Change is a field of a packet that got another value.
type Change struct {
	Field of.Field
	Value of.Value
}

// Text is the change as ovs-ofctl(8) would write it in a match.
func (c Change) Text() string { return c.Field.String() + "=" + text(c.Field, c.Value) }

// noting runs do, which writes fields of a packet, and notes those that got another value.
func (s *Step) noting(p *Packet, do func(), fields ...of.Field) {
	before := make([]of.Value, len(fields))
	for i, f := range fields {
		before[i] = p.Get(f)
	}
	do()
	for i, f := range fields {
		if v := p.Get(f); v != before[i] {
			s.Changes = append(s.Changes, Change{f, v})
		}
	}
}

func (s *Step) note(format string, args ...any) {
	s.Notes = append(s.Notes, fmt.Sprintf(format, args...))
}

// String is the whole walk, a line a table, as people read it.
func (r *Result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "from port %d: %s\n", r.InPort, &r.Packet)
	for _, s := range r.Trace {
		indent := strings.Repeat("  ", s.Depth+1)
		if s.Flow == nil {
			fmt.Fprintf(&b, "%stable=%d: no match, dropped\n", indent, s.Table)
			continue
		}
		fmt.Fprintf(&b, "%s%s\n", indent, s.Flow)
		for _, n := range s.Notes {
			fmt.Fprintf(&b, "%s  -> %s\n", indent, n)
		}
	}
	if len(r.Outputs) == 0 {
		b.WriteString("  dropped\n")
	}
	return b.String()
}

// String names the packet's fields that are not zero, much as ovs-ofctl(8) does.
func (p *Packet) String() string {
	var parts []string
	for f := of.FieldInPort; f <= of.FieldNDOptionsType; f++ {
		v := p.values[f]
		if f == of.FieldVLANTCI && p.depth > 0 {
			parts = append(parts, fmt.Sprintf("tags=%v", p.Tags()))
		}
		if !v.IsZero() {
			parts = append(parts, f.String()+"="+text(f, v))
		}
	}
	if p.Echo != 0 {
		parts = append(parts, fmt.Sprintf("echo=%d", p.Echo))
	}
	if p.Quoted != (Tuple{}) {
		parts = append(parts, fmt.Sprintf("quoted=(%s)", p.Quoted))
	}
	return strings.Join(parts, ",")
}

func text(f of.Field, v of.Value) string {
	switch f {
	case of.FieldEthSrc, of.FieldEthDst, of.FieldARPSHA, of.FieldARPTHA, of.FieldNDSLL, of.FieldNDTLL:
		return store.MACFromUint64(v.Lo).String()
	case of.FieldTunSrc, of.FieldTunDst, of.FieldIPSrc, of.FieldIPDst, of.FieldARPSPA, of.FieldARPTPA:
		return address(v, false).String()
	case of.FieldTunIPv6Src, of.FieldTunIPv6Dst, of.FieldIPv6Src, of.FieldIPv6Dst, of.FieldNDTarget:
		return address(v, true).String()
	case of.FieldCTState:
		return stateText(uint8(v.Lo))
	case of.FieldInPort, of.FieldIPProto, of.FieldIPTTL, of.FieldARPOp, of.FieldICMPType, of.FieldICMPv6Type,
		of.FieldTCPSrc, of.FieldTCPDst, of.FieldUDPSrc, of.FieldUDPDst:
		return fmt.Sprint(v.Lo)
	}
	if v.Hi != 0 {
		return fmt.Sprintf("%#x%016x", v.Hi, v.Lo)
	}
	return fmt.Sprintf("%#x", v.Lo)
}

// address is a field's value as an address.
func address(v of.Value, v6 bool) netip.Addr { return v.IP(v6) }
