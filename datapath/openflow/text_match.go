package openflow

import (
	"fmt"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"
)

// More of them that have a word of their own in a match.
const (
	etherRARP  = 0x8035
	etherMPLS  = 0x8847
	etherMPLSM = 0x8848

	protoSCTP = 132
)

// protocol is a word of a match that stands for an Ethernet type, and where proto is not 0
// for an IP protocol.
type protocol struct {
	word  string
	ether uint16
	proto uint8
}

var protocols = [...]protocol{
	{"icmp", EtherIPv4, ProtoICMP}, {"tcp", EtherIPv4, ProtoTCP}, {"udp", EtherIPv4, ProtoUDP}, {"sctp", EtherIPv4, protoSCTP},
	{"icmp6", EtherIPv6, ProtoICMPv6}, {"tcp6", EtherIPv6, ProtoTCP}, {"udp6", EtherIPv6, ProtoUDP},
	{"sctp6", EtherIPv6, protoSCTP},
	{"ip", EtherIPv4, 0}, {"ipv6", EtherIPv6, 0}, {"arp", EtherARP, 0}, {"rarp", etherRARP, 0},
	{"mpls", etherMPLS, 0}, {"mplsm", etherMPLSM, 0},
}

// kindOf is the word for what the match says of the protocol: without a word zero, and
// proto only where the word says it.
func (m Match) kindOf() protocol {
	ether, ok := m.Get(FieldEthType)
	if !ok {
		return protocol{}
	}
	proto, _ := m.Get(FieldIPProto)
	for _, p := range protocols {
		if uint64(p.ether) == ether.Value.Lo && (p.proto == 0 || uint64(p.proto) == proto.Value.Lo) {
			return p
		}
	}
	return protocol{}
}

// textHead and textTail are the fields in the order of ovs-ofctl, before and after the
// protocol's word.
var (
	textHead = [...]Field{FieldPktMark, FieldRecircID, FieldDPHash, FieldConjID, FieldActsetOutput,
		FieldCTState, FieldCTZone, FieldCTMark, FieldCTLabel, FieldCTNwSrc, FieldCTIPv6Src, FieldCTNwDst,
		FieldCTIPv6Dst, FieldCTNwProto, FieldCTTpSrc, FieldCTTpDst}
	textTail = [...]Field{FieldReg0, FieldReg1, FieldReg2, FieldReg3, FieldReg4, FieldReg5, FieldReg6, FieldReg7,
		FieldReg8, FieldReg9, FieldReg10, FieldReg11, FieldReg12, FieldReg13, FieldReg14, FieldReg15,
		FieldXReg0, FieldXReg1, FieldXReg2, FieldXReg3, FieldXReg4, FieldXReg5, FieldXReg6, FieldXReg7,
		FieldXXReg0, FieldXXReg1, FieldXXReg2, FieldXXReg3,
		FieldTunID, FieldTunSrc, FieldTunDst, FieldTunIPv6Src, FieldTunIPv6Dst, FieldTunGBPID, FieldTunGBPFlags,
		FieldTunFlags, FieldTunMetadata0, FieldMetadata, FieldInPort, FieldVLANTCI, FieldVLANVID, FieldVLANPCP,
		FieldEthSrc, FieldEthDst, FieldEthType, FieldIPv6Src, FieldIPv6Dst, FieldIPv6Label, FieldARPSPA,
		FieldARPTPA, FieldIPSrc, FieldIPDst, FieldARPOp, FieldIPProto, FieldARPSHA, FieldARPTHA, FieldIPDSCP,
		FieldIPECN, FieldIPTTL, FieldMPLSLabel, FieldMPLSTC, FieldMPLSTTL, FieldMPLSBOS, FieldIPFrag,
		FieldICMPType, FieldICMPCode, FieldICMPv6Type, FieldICMPv6Code, FieldNDTarget, FieldNDSLL, FieldNDTLL,
		FieldNDReserved, FieldNDOptionsType, FieldTCPSrc, FieldTCPDst, FieldUDPSrc, FieldUDPDst, FieldSCTPSrc,
		FieldSCTPDst, FieldTCPFlags}
)

// matchText writes a match.
type matchText struct {
	match Match
	at    [numFields]uint8 // where a field stands in the match, from 1
	kind  protocol
}

// MatchText is what the flow matches in the syntax of ovs-ofctl(8), without its table and priority; empty:
// every frame.
func (f *Flow) MatchText() string {
	only := Flow{Match: f.Match, Unknown: f.Unknown, Priority: defaultPriority}
	return strings.TrimSuffix(string(only.appendMatchText(nil)), " ")
}

// appendMatchText appends priority and match, and a space where there is any.
func (f *Flow) appendMatchText(b []byte) []byte {
	start := len(b)
	if f.Priority != defaultPriority {
		b = append(strconv.AppendUint(append(b, "priority="...), uint64(f.Priority), 10), ',')
	}
	t := matchText{match: f.Match, kind: f.Match.kindOf()}
	for i := range f.Match {
		if x := f.Match[i].Field; x < numFields && !f.Match[i].Mask.IsZero() {
			t.at[x] = uint8(i + 1)
		}
	}
	b = t.appendFields(b, textHead[:])
	if t.kind.word != "" {
		b = append(append(b, t.kind.word...), ',')
	}
	b = t.appendFields(b, textTail[:])
	if f.Unknown != "" {
		b = append(appendPlainHex(append(b, "oxm=0x"...), f.Unknown), ',')
	}
	if len(b) > start {
		b[len(b)-1] = ' '
	}
	return b
}

func (t *matchText) appendFields(b []byte, fields []Field) []byte {
	for _, f := range fields {
		if at := t.at[f]; at != 0 {
			b = t.appendField(b, &t.match[at-1])
		}
	}
	return b
}

// appendField appends one field and a comma.
func (t *matchText) appendField(b []byte, f *MatchField) []byte {
	switch {
	case f.Field == FieldEthType && t.kind.word != "", f.Field == FieldIPProto && t.kind.proto != 0:
		return b
	case f.Field == FieldVLANVID:
		return t.appendVLAN(b, f)
	case f.Field == FieldVLANPCP:
		if t.at[FieldVLANVID] != 0 {
			return b
		}
		return appendTCI(b, f.Value.Lo<<vlanPCPLow, vlanPCPMask)
	case f.Field == FieldVLANTCI:
		return appendTCI(b, f.Value.Lo, f.Mask.Lo)
	case f.Field == FieldIPDSCP && t.is(EtherIPv4, EtherIPv6):
		return append(strconv.AppendUint(append(b, "nw_tos="...), f.Value.Lo<<2, 10), ',')
	}
	b = append(append(b, t.name(f.Field)...), '=')
	return append(appendMatchValue(b, f), ',')
}

func (t *matchText) is(ethers ...uint16) bool {
	for _, e := range ethers {
		if t.kind.ether == e {
			return true
		}
	}
	return false
}

// name is the field's short name, which says less than it means and counts for the match's
// protocol alone, or a full name where the match has another.
func (t *matchText) name(f Field) string {
	s := f.spec()
	if s.match == "" {
		return s.name
	}
	if short, ok := shortName(t.kind, s.match); !ok || short == f {
		return s.match
	}
	return s.wide().text
}

// shortName is the field that a name means within a protocol; not ok: the name does not
// depend on it.
func shortName(k protocol, name string) (f Field, ok bool) {
	switch name {
	case "nw_src", "nw_dst", "nw_proto", "nw_tos":
		return ipField(k, name), true
	case "icmp_type", "icmp_code":
		return icmpField(k, name), true
	case "tp_src", "tp_dst":
		return transportField(k, name), true
	}
	return FieldInvalid, false
}

func ipField(k protocol, name string) Field {
	switch {
	case k.ether == EtherIPv4 && name == "nw_src":
		return FieldIPSrc
	case k.ether == EtherIPv4 && name == "nw_dst":
		return FieldIPDst
	case (k.ether == EtherIPv4 || k.ether == EtherIPv6) && name == "nw_proto":
		return FieldIPProto
	case (k.ether == EtherIPv4 || k.ether == EtherIPv6) && name == "nw_tos":
		return FieldIPDSCP
	}
	return FieldInvalid
}

func icmpField(k protocol, name string) Field {
	switch {
	case k.ether == EtherIPv4 && k.proto == ProtoICMP && name == "icmp_type":
		return FieldICMPType
	case k.ether == EtherIPv4 && k.proto == ProtoICMP:
		return FieldICMPCode
	case k.ether == EtherIPv6 && k.proto == ProtoICMPv6 && name == "icmp_type":
		return FieldICMPv6Type
	case k.ether == EtherIPv6 && k.proto == ProtoICMPv6:
		return FieldICMPv6Code
	}
	return FieldInvalid
}

func transportField(k protocol, name string) Field {
	var source Field
	switch k.proto {
	case ProtoTCP:
		source = FieldTCPSrc
	case ProtoUDP:
		source = FieldUDPSrc
	case protoSCTP:
		source = FieldSCTPSrc
	default:
		return FieldInvalid
	}
	if name == "tp_dst" {
		return source + 1
	}
	return source
}

// appendVLAN appends VLAN id and priority as ovs-ofctl does: by their names where a tag is
// there and each is matched whole or not at all.
func (t *matchText) appendVLAN(b []byte, vid *MatchField) []byte {
	v, mask := vid.Value.Lo, vid.Mask.Lo
	pcp := t.at[FieldVLANPCP]
	id := mask & (vlanVIDMask &^ vlanPresent)
	named := v&mask&vlanPresent != 0 && (id == 0 && pcp != 0 || id == vlanVIDMask&^vlanPresent)
	if !named {
		if pcp != 0 {
			v |= t.match[pcp-1].Value.Lo << vlanPCPLow
			mask |= vlanPCPMask
		}
		return appendTCI(b, v, mask)
	}
	if id != 0 {
		b = append(strconv.AppendUint(append(b, "dl_vlan="...), v&^vlanPresent, 10), ',')
	}
	if pcp != 0 {
		b = append(strconv.AppendUint(append(b, "dl_vlan_pcp="...), t.match[pcp-1].Value.Lo, 10), ',')
	}
	return b
}

func appendTCI(b []byte, v, mask uint64) []byte {
	b = fmt.Appendf(b, "vlan_tci=0x%04x", v)
	if mask != 0xffff {
		b = fmt.Appendf(b, "/0x%04x", mask)
	}
	return append(b, ',')
}

func appendMatchValue(b []byte, f *MatchField) []byte {
	s := f.Field.spec()
	whole := s.whole(f.Mask)
	switch {
	case s.kind == kindCTState:
		return appendFlags(b, ctStateNames[:], f.Value.Lo, f.Mask.Lo, whole)
	case s.kind == kindTCPFlags:
		return appendFlags(b, tcpFlagNames[:], f.Value.Lo, f.Mask.Lo, whole)
	case s.kind == kindTunFlags:
		return appendFlags(b, tunFlagNames[:], f.Value.Lo, f.Mask.Lo, false)
	case s.kind == kindFrag:
		return appendFrag(b, f)
	case f.Field == FieldEthType && whole:
		return fmt.Appendf(b, "0x%04x", f.Value.Lo)
	case f.Field == FieldIPv6Label:
		return appendLabel(b, f, whole)
	}
	return appendFieldValue(b, s, f.Value, f.Mask, whole)
}

func appendLabel(b []byte, f *MatchField, whole bool) []byte {
	b = fmt.Appendf(b, "0x%05x", f.Value.Lo)
	if !whole {
		b = fmt.Appendf(b, "/0x%05x", f.Mask.Lo)
	}
	return b
}

// appendFieldValue appends value and mask as match and set_field have them in common.
func appendFieldValue(b []byte, s *fieldSpec, v, mask Value, whole bool) []byte {
	b = appendPlainValue(b, s, v, whole)
	if whole {
		return b
	}
	if s.kind == kindIPv4 || s.kind == kindIPv6 {
		if n, ok := prefixLength(mask, int(s.bits)); ok {
			return strconv.AppendInt(append(b, '/'), int64(n), 10)
		}
	}
	return appendPlainValue(append(b, '/'), s, mask, false)
}

func appendPlainValue(b []byte, s *fieldSpec, v Value, whole bool) []byte {
	switch s.kind {
	case kindMAC:
		return fmt.Appendf(b, "%02x:%02x:%02x:%02x:%02x:%02x",
			v.Lo>>40&0xff, v.Lo>>32&0xff, v.Lo>>24&0xff, v.Lo>>16&0xff, v.Lo>>8&0xff, v.Lo&0xff)
	case kindIPv4:
		return v.IP(false).AppendTo(b)
	case kindIPv6:
		return v.IP(true).AppendTo(b)
	case kindPort:
		return appendPortName(b, uint32(v.Lo))
	case kindDecimal:
		if whole {
			return strconv.AppendUint(b, v.Lo, 10)
		}
	}
	return appendHex(b, v)
}

// IP is the value as an address of IPv4, or of IPv6.
func (v Value) IP(v6 bool) netip.Addr {
	if !v6 {
		return netip.AddrFrom4([4]byte(be.AppendUint32(nil, uint32(v.Lo))))
	}
	return netip.AddrFrom16([16]byte(appendValue(nil, v, 16)))
}

// prefixLength is the length of the prefix that a mask is, if it is one.
func prefixLength(mask Value, width int) (n int, ok bool) {
	n = bits.OnesCount64(mask.Hi) + bits.OnesCount64(mask.Lo)
	return n, mask == Ones(width).Xor(Ones(width-n))
}

// Names of flags, by bit.
var (
	ctStateNames = [...]string{"new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"}
	tcpFlagNames = [...]string{"fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns", "[200]", "[400]", "[800]"}
	tunFlagNames = [...]string{"oam"}
)

// appendFlags writes a|b for all flags, or +a-b for those under the mask.
func appendFlags(b []byte, names []string, v, mask uint64, whole bool) []byte {
	if whole && v == 0 {
		return append(b, '0')
	}
	start := len(b)
	for i, name := range names {
		on := v&(1<<i) != 0
		switch {
		case mask&(1<<i) == 0, whole && !on:
			continue
		case whole && len(b) > start:
			b = append(b, '|')
		case !whole && on:
			b = append(b, '+')
		case !whole:
			b = append(b, '-')
		}
		b = append(b, name...)
	}
	return b
}

// fragNames are what ip_frag can say. Its low bit is that of any fragment, the other that
// of all but the first.
var fragNames = [...]struct {
	word        string
	value, mask uint64
}{{"no", 0, 3}, {"yes", 1, 1}, {"first", 1, 3}, {"later", 3, 3}, {"not_later", 0, 2}}

func appendFrag(b []byte, f *MatchField) []byte {
	for _, n := range fragNames {
		if n.value == f.Value.Lo && n.mask == f.Mask.Lo {
			return append(b, n.word...)
		}
	}
	return fmt.Appendf(b, "%d/%d", f.Value.Lo, f.Mask.Lo)
}
