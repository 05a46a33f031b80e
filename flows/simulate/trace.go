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
	Notes []string // what the actions did beyond their text
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
func address(v of.Value, v6 bool) netip.Addr {
	var b [16]byte
	for i := range 8 {
		b[i] = byte(v.Hi >> (56 - 8*i))
		b[8+i] = byte(v.Lo >> (56 - 8*i))
	}
	if v6 {
		return netip.AddrFrom16(b)
	}
	return netip.AddrFrom4([4]byte(b[12:]))
}
