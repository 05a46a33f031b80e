package openflow

// fieldKind tells how ovs-ofctl writes a field's value.
type fieldKind uint8

const (
	kindDecimal fieldKind = iota
	kindHex
	kindMAC
	kindIPv4
	kindIPv6
	kindPort
	kindCTState
	kindTCPFlags
	kindTunFlags
	kindFrag
)

// OXM classes (OpenFlow 1.3, A.2.3.3) and those of Nicira and Ericsson.
const (
	classNXM0         = 0x0000
	classNXM1         = 0x0001
	classEricsson     = 0x1000
	classBasic        = 0x8000
	classRegisters    = 0x8001
	classExperimenter = 0xffff
)

// onfExperimenter is the ONF's id, in OXM headers and in experimenter messages.
const onfExperimenter = 0x4f4e4600

// oxmID is an OXM or NXM field's identity on the wire.
type oxmID struct {
	class  uint16
	number uint8
	bytes  uint8  // length of the value; of a masked one the double; 0: there is no such id
	text   string // as actions write it: NXM_OF_ETH_SRC
}

// fieldSpec is what the wire and ovs-ofctl know of a field. A match and set_field use oxm
// where there is one, all other actions use nxm where there is one: so does Open vSwitch.
type fieldSpec struct {
	name     string // in set_field and, unless match says otherwise, in a match
	match    string // in a match, where that differs
	bits     uint8  // in a match; 128 at most
	partBits uint8  // of the whole field in a Subfield, where that differs
	kind     fieldKind
	exact    bool // cannot be masked
	oxm, nxm oxmID
}

func nxm0(number, bytes uint8, text string) oxmID { return oxmID{classNXM0, number, bytes, text} }
func nxm1(number, bytes uint8, text string) oxmID { return oxmID{classNXM1, number, bytes, text} }
func oxm(number, bytes uint8, text string) oxmID  { return oxmID{classBasic, number, bytes, text} }
func onf(number, bytes uint8, text string) oxmID {
	return oxmID{classExperimenter, number, bytes, text}
}
func ericsson(number, bytes uint8, text string) oxmID {
	return oxmID{classEricsson, number, bytes, text}
}
func register(name string, number uint8, text string) fieldSpec {
	return fieldSpec{name: name, bits: 32, kind: kindHex, nxm: nxm1(number, 4, text)}
}
func xregister(name string, number uint8, text string) fieldSpec {
	return fieldSpec{name: name, bits: 64, kind: kindHex, oxm: oxmID{classRegisters, number, 8, text}}
}
func xxregister(name string, number uint8, text string) fieldSpec {
	return fieldSpec{name: name, bits: 128, kind: kindHex, nxm: nxm1(number, 16, text)}
}

// fieldSpecs is indexed by Field. A field without an entry (FieldTunMetadata0, whose width
// each bridge decides by its TLV table) can be named but not sent.
var fieldSpecs = [numFields]fieldSpec{
	FieldInPort: {name: "in_port_oxm", match: "in_port", bits: 32, partBits: 16, kind: kindPort, exact: true,
		oxm: oxm(0, 4, "OXM_OF_IN_PORT"), nxm: nxm0(0, 2, "NXM_OF_IN_PORT")},
	FieldTunID: {name: "tun_id", bits: 64, kind: kindHex,
		oxm: oxm(38, 8, "OXM_OF_TUNNEL_ID"), nxm: nxm1(16, 8, "NXM_NX_TUN_ID")},
	FieldTunSrc:       {name: "tun_src", bits: 32, kind: kindIPv4, nxm: nxm1(31, 4, "NXM_NX_TUN_IPV4_SRC")},
	FieldTunDst:       {name: "tun_dst", bits: 32, kind: kindIPv4, nxm: nxm1(32, 4, "NXM_NX_TUN_IPV4_DST")},
	FieldTunIPv6Src:   {name: "tun_ipv6_src", bits: 128, kind: kindIPv6, nxm: nxm1(109, 16, "NXM_NX_TUN_IPV6_SRC")},
	FieldTunIPv6Dst:   {name: "tun_ipv6_dst", bits: 128, kind: kindIPv6, nxm: nxm1(110, 16, "NXM_NX_TUN_IPV6_DST")},
	FieldTunFlags:     {name: "tun_flags", bits: 1, kind: kindTunFlags, nxm: nxm1(104, 2, "NXM_NX_TUN_FLAGS")},
	FieldTunGBPID:     {name: "tun_gbp_id", bits: 16, nxm: nxm1(38, 2, "NXM_NX_TUN_GBP_ID")},
	FieldTunGBPFlags:  {name: "tun_gbp_flags", bits: 8, kind: kindHex, nxm: nxm1(39, 1, "NXM_NX_TUN_GBP_FLAGS")},
	FieldTunMetadata0: {name: "tun_metadata0", bits: 128, kind: kindHex},
	FieldMetadata:     {name: "metadata", bits: 64, kind: kindHex, oxm: oxm(2, 8, "OXM_OF_METADATA")},

	FieldReg0:  register("reg0", 0, "NXM_NX_REG0"),
	FieldReg1:  register("reg1", 1, "NXM_NX_REG1"),
	FieldReg2:  register("reg2", 2, "NXM_NX_REG2"),
	FieldReg3:  register("reg3", 3, "NXM_NX_REG3"),
	FieldReg4:  register("reg4", 4, "NXM_NX_REG4"),
	FieldReg5:  register("reg5", 5, "NXM_NX_REG5"),
	FieldReg6:  register("reg6", 6, "NXM_NX_REG6"),
	FieldReg7:  register("reg7", 7, "NXM_NX_REG7"),
	FieldReg8:  register("reg8", 8, "NXM_NX_REG8"),
	FieldReg9:  register("reg9", 9, "NXM_NX_REG9"),
	FieldReg10: register("reg10", 10, "NXM_NX_REG10"),
	FieldReg11: register("reg11", 11, "NXM_NX_REG11"),
	FieldReg12: register("reg12", 12, "NXM_NX_REG12"),
	FieldReg13: register("reg13", 13, "NXM_NX_REG13"),
	FieldReg14: register("reg14", 14, "NXM_NX_REG14"),
	FieldReg15: register("reg15", 15, "NXM_NX_REG15"),

	FieldXReg0: xregister("xreg0", 0, "OXM_OF_PKT_REG0"),
	FieldXReg1: xregister("xreg1", 1, "OXM_OF_PKT_REG1"),
	FieldXReg2: xregister("xreg2", 2, "OXM_OF_PKT_REG2"),
	FieldXReg3: xregister("xreg3", 3, "OXM_OF_PKT_REG3"),
	FieldXReg4: xregister("xreg4", 4, "OXM_OF_PKT_REG4"),
	FieldXReg5: xregister("xreg5", 5, "OXM_OF_PKT_REG5"),
	FieldXReg6: xregister("xreg6", 6, "OXM_OF_PKT_REG6"),
	FieldXReg7: xregister("xreg7", 7, "OXM_OF_PKT_REG7"),

	FieldXXReg0: xxregister("xxreg0", 111, "NXM_NX_XXREG0"),
	FieldXXReg1: xxregister("xxreg1", 112, "NXM_NX_XXREG1"),
	FieldXXReg2: xxregister("xxreg2", 113, "NXM_NX_XXREG2"),
	FieldXXReg3: xxregister("xxreg3", 114, "NXM_NX_XXREG3"),

	FieldPktMark: {name: "pkt_mark", bits: 32, kind: kindHex, nxm: nxm1(33, 4, "NXM_NX_PKT_MARK")},
	FieldActsetOutput: {name: "actset_output", bits: 32, kind: kindPort, exact: true,
		oxm: onf(43, 4, "ONFOXM_ET_ACTSET_OUTPUT")},
	FieldConjID:    {name: "conj_id", bits: 32, exact: true, nxm: nxm1(37, 4, "NXM_NX_CONJ_ID")},
	FieldCTState:   {name: "ct_state", bits: 8, partBits: 32, kind: kindCTState, nxm: nxm1(105, 4, "NXM_NX_CT_STATE")},
	FieldCTZone:    {name: "ct_zone", bits: 16, exact: true, nxm: nxm1(106, 2, "NXM_NX_CT_ZONE")},
	FieldCTMark:    {name: "ct_mark", bits: 32, kind: kindHex, nxm: nxm1(107, 4, "NXM_NX_CT_MARK")},
	FieldCTLabel:   {name: "ct_label", bits: 128, kind: kindHex, nxm: nxm1(108, 16, "NXM_NX_CT_LABEL")},
	FieldCTNwProto: {name: "ct_nw_proto", bits: 8, exact: true, nxm: nxm1(119, 1, "NXM_NX_CT_NW_PROTO")},
	FieldCTNwSrc:   {name: "ct_nw_src", bits: 32, kind: kindIPv4, nxm: nxm1(120, 4, "NXM_NX_CT_NW_SRC")},
	FieldCTNwDst:   {name: "ct_nw_dst", bits: 32, kind: kindIPv4, nxm: nxm1(121, 4, "NXM_NX_CT_NW_DST")},
	FieldCTIPv6Src: {name: "ct_ipv6_src", bits: 128, kind: kindIPv6, nxm: nxm1(122, 16, "NXM_NX_CT_IPV6_SRC")},
	FieldCTIPv6Dst: {name: "ct_ipv6_dst", bits: 128, kind: kindIPv6, nxm: nxm1(123, 16, "NXM_NX_CT_IPV6_DST")},
	FieldCTTpSrc:   {name: "ct_tp_src", bits: 16, nxm: nxm1(124, 2, "NXM_NX_CT_TP_SRC")},
	FieldCTTpDst:   {name: "ct_tp_dst", bits: 16, nxm: nxm1(125, 2, "NXM_NX_CT_TP_DST")},

	FieldEthSrc: {name: "eth_src", match: "dl_src", bits: 48, kind: kindMAC,
		oxm: oxm(4, 6, "OXM_OF_ETH_SRC"), nxm: nxm0(2, 6, "NXM_OF_ETH_SRC")},
	FieldEthDst: {name: "eth_dst", match: "dl_dst", bits: 48, kind: kindMAC,
		oxm: oxm(3, 6, "OXM_OF_ETH_DST"), nxm: nxm0(1, 6, "NXM_OF_ETH_DST")},
	FieldEthType: {name: "eth_type", match: "dl_type", bits: 16, kind: kindHex, exact: true,
		oxm: oxm(5, 2, "OXM_OF_ETH_TYPE"), nxm: nxm0(3, 2, "NXM_OF_ETH_TYPE")},
	FieldVLANTCI: {name: "vlan_tci", bits: 16, kind: kindHex, nxm: nxm0(4, 2, "NXM_OF_VLAN_TCI")},
	FieldVLANVID: {name: "vlan_vid", bits: 13, partBits: 12, oxm: oxm(6, 2, "OXM_OF_VLAN_VID")},
	FieldVLANPCP: {name: "vlan_pcp", match: "dl_vlan_pcp", bits: 3, exact: true, oxm: oxm(7, 1, "OXM_OF_VLAN_PCP")},

	FieldMPLSLabel: {name: "mpls_label", bits: 20, exact: true, oxm: oxm(34, 4, "OXM_OF_MPLS_LABEL")},
	FieldMPLSTC:    {name: "mpls_tc", bits: 3, exact: true, oxm: oxm(35, 1, "OXM_OF_MPLS_TC")},
	FieldMPLSBOS:   {name: "mpls_bos", bits: 1, exact: true, oxm: oxm(36, 1, "OXM_OF_MPLS_BOS")},
	FieldMPLSTTL:   {name: "mpls_ttl", bits: 8, exact: true, nxm: nxm1(30, 1, "NXM_NX_MPLS_TTL")},

	FieldIPSrc: {name: "ip_src", match: "nw_src", bits: 32, kind: kindIPv4,
		oxm: oxm(11, 4, "OXM_OF_IPV4_SRC"), nxm: nxm0(7, 4, "NXM_OF_IP_SRC")},
	FieldIPDst: {name: "ip_dst", match: "nw_dst", bits: 32, kind: kindIPv4,
		oxm: oxm(12, 4, "OXM_OF_IPV4_DST"), nxm: nxm0(8, 4, "NXM_OF_IP_DST")},
	FieldIPv6Src: {name: "ipv6_src", bits: 128, kind: kindIPv6,
		oxm: oxm(26, 16, "OXM_OF_IPV6_SRC"), nxm: nxm1(19, 16, "NXM_NX_IPV6_SRC")},
	FieldIPv6Dst: {name: "ipv6_dst", bits: 128, kind: kindIPv6,
		oxm: oxm(27, 16, "OXM_OF_IPV6_DST"), nxm: nxm1(20, 16, "NXM_NX_IPV6_DST")},
	FieldIPv6Label: {name: "ipv6_label", bits: 20, kind: kindHex,
		oxm: oxm(28, 4, "OXM_OF_IPV6_FLABEL"), nxm: nxm1(27, 4, "NXM_NX_IPV6_LABEL")},
	FieldIPProto: {name: "nw_proto", match: "nw_proto", bits: 8, exact: true,
		oxm: oxm(10, 1, "OXM_OF_IP_PROTO"), nxm: nxm0(6, 1, "NXM_OF_IP_PROTO")},
	FieldIPDSCP: {name: "ip_dscp", bits: 6, exact: true, oxm: oxm(8, 1, "OXM_OF_IP_DSCP")},
	FieldIPECN: {name: "nw_ecn", bits: 2, exact: true,
		oxm: oxm(9, 1, "OXM_OF_IP_ECN"), nxm: nxm1(28, 1, "NXM_NX_IP_ECN")},
	FieldIPTTL:  {name: "nw_ttl", bits: 8, exact: true, nxm: nxm1(29, 1, "NXM_NX_IP_TTL")},
	FieldIPFrag: {name: "ip_frag", match: "nw_frag", bits: 2, kind: kindFrag, nxm: nxm1(26, 1, "NXM_NX_IP_FRAG")},

	FieldARPOp: {name: "arp_op", bits: 16, exact: true,
		oxm: oxm(21, 2, "OXM_OF_ARP_OP"), nxm: nxm0(15, 2, "NXM_OF_ARP_OP")},
	FieldARPSPA: {name: "arp_spa", bits: 32, kind: kindIPv4,
		oxm: oxm(22, 4, "OXM_OF_ARP_SPA"), nxm: nxm0(16, 4, "NXM_OF_ARP_SPA")},
	FieldARPTPA: {name: "arp_tpa", bits: 32, kind: kindIPv4,
		oxm: oxm(23, 4, "OXM_OF_ARP_TPA"), nxm: nxm0(17, 4, "NXM_OF_ARP_TPA")},
	FieldARPSHA: {name: "arp_sha", bits: 48, kind: kindMAC,
		oxm: oxm(24, 6, "OXM_OF_ARP_SHA"), nxm: nxm1(17, 6, "NXM_NX_ARP_SHA")},
	FieldARPTHA: {name: "arp_tha", bits: 48, kind: kindMAC,
		oxm: oxm(25, 6, "OXM_OF_ARP_THA"), nxm: nxm1(18, 6, "NXM_NX_ARP_THA")},

	FieldTCPSrc: {name: "tcp_src", match: "tp_src", bits: 16,
		oxm: oxm(13, 2, "OXM_OF_TCP_SRC"), nxm: nxm0(9, 2, "NXM_OF_TCP_SRC")},
	FieldTCPDst: {name: "tcp_dst", match: "tp_dst", bits: 16,
		oxm: oxm(14, 2, "OXM_OF_TCP_DST"), nxm: nxm0(10, 2, "NXM_OF_TCP_DST")},
	FieldTCPFlags: {name: "tcp_flags", bits: 12, kind: kindTCPFlags,
		oxm: onf(42, 2, "ONFOXM_ET_TCP_FLAGS"), nxm: nxm1(34, 2, "NXM_NX_TCP_FLAGS")},
	FieldUDPSrc: {name: "udp_src", match: "tp_src", bits: 16,
		oxm: oxm(15, 2, "OXM_OF_UDP_SRC"), nxm: nxm0(11, 2, "NXM_OF_UDP_SRC")},
	FieldUDPDst: {name: "udp_dst", match: "tp_dst", bits: 16,
		oxm: oxm(16, 2, "OXM_OF_UDP_DST"), nxm: nxm0(12, 2, "NXM_OF_UDP_DST")},
	FieldSCTPSrc: {name: "sctp_src", match: "tp_src", bits: 16, oxm: oxm(17, 2, "OXM_OF_SCTP_SRC")},
	FieldSCTPDst: {name: "sctp_dst", match: "tp_dst", bits: 16, oxm: oxm(18, 2, "OXM_OF_SCTP_DST")},

	FieldICMPType: {name: "icmp_type", match: "icmp_type", bits: 8, exact: true,
		oxm: oxm(19, 1, "OXM_OF_ICMPV4_TYPE"), nxm: nxm0(13, 1, "NXM_OF_ICMP_TYPE")},
	FieldICMPCode: {name: "icmp_code", match: "icmp_code", bits: 8, exact: true,
		oxm: oxm(20, 1, "OXM_OF_ICMPV4_CODE"), nxm: nxm0(14, 1, "NXM_OF_ICMP_CODE")},
	FieldICMPv6Type: {name: "icmpv6_type", match: "icmp_type", bits: 8, exact: true,
		oxm: oxm(29, 1, "OXM_OF_ICMPV6_TYPE"), nxm: nxm1(21, 1, "NXM_NX_ICMPV6_TYPE")},
	FieldICMPv6Code: {name: "icmpv6_code", match: "icmp_code", bits: 8, exact: true,
		oxm: oxm(30, 1, "OXM_OF_ICMPV6_CODE"), nxm: nxm1(22, 1, "NXM_NX_ICMPV6_CODE")},
	FieldNDTarget: {name: "nd_target", bits: 128, kind: kindIPv6,
		oxm: oxm(31, 16, "OXM_OF_IPV6_ND_TARGET"), nxm: nxm1(23, 16, "NXM_NX_ND_TARGET")},
	FieldNDSLL: {name: "nd_sll", bits: 48, kind: kindMAC,
		oxm: oxm(32, 6, "OXM_OF_IPV6_ND_SLL"), nxm: nxm1(24, 6, "NXM_NX_ND_SLL")},
	FieldNDTLL: {name: "nd_tll", bits: 48, kind: kindMAC,
		oxm: oxm(33, 6, "OXM_OF_IPV6_ND_TLL"), nxm: nxm1(25, 6, "NXM_NX_ND_TLL")},
	FieldNDReserved: {name: "nd_reserved", bits: 32, exact: true,
		oxm: ericsson(1, 4, "ERICOXM_OF_ICMPV6_ND_RESERVED")},
	FieldNDOptionsType: {name: "nd_options_type", bits: 8, exact: true,
		oxm: ericsson(2, 1, "ERICOXM_OF_ICMPV6_ND_OPTIONS_TYPE")},
	FieldRecircID: {name: "recirc_id", bits: 32, exact: true, nxm: nxm1(36, 4, "NXM_NX_RECIRC_ID")},
	FieldDPHash:   {name: "dp_hash", bits: 32, kind: kindHex, nxm: nxm1(35, 4, "NXM_NX_DP_HASH")},
}

func (f Field) spec() *fieldSpec {
	if f >= numFields {
		f = FieldInvalid
	}
	return &fieldSpecs[f]
}

// wide is how a match and set_field name the field.
func (s *fieldSpec) wide() oxmID {
	if s.oxm.bytes != 0 {
		return s.oxm
	}
	return s.nxm
}

// short is how all other actions name the field.
func (s *fieldSpec) short() oxmID {
	if s.nxm.bytes != 0 {
		return s.nxm
	}
	return s.oxm
}

// Bits is the width of the field in a match: at most 128, and 0 for what is no field.
func (f Field) Bits() int { return int(f.spec().bits) }

// String is the field's name in ovs-fields(7).
func (f Field) String() string {
	if s := f.spec(); s.name != "" {
		return s.name
	}
	return "invalid"
}
