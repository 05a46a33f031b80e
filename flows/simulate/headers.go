package simulate

import of "sluice/datapath/openflow"

func (p *Packet) isIPv4() bool { return p.Uint(of.FieldEthType) == typeIPv4 }
func (p *Packet) isIPv6() bool { return p.Uint(of.FieldEthType) == typeIPv6 }
func (p *Packet) isIP() bool   { return p.isIPv4() || p.isIPv6() }
func (p *Packet) isARP() bool  { return p.Uint(of.FieldEthType) == typeARP }
func (p *Packet) isTCP() bool  { return p.isTransport(protoTCP) }
func (p *Packet) isUDP() bool  { return p.isTransport(protoUDP) }

func (p *Packet) isICMP() bool   { return p.isIPv4() && p.isTransport(protoICMP) }
func (p *Packet) isICMPv6() bool { return p.isIPv6() && p.isTransport(protoICMPv6) }

// isTransport reports whether the packet has that protocol's header: a later fragment has
// none.
func (p *Packet) isTransport(proto uint64) bool {
	return p.isIP() && p.Uint(of.FieldIPProto) == proto && p.Uint(of.FieldIPFrag) != FragmentLater
}

func (p *Packet) isND() bool {
	kind := p.Uint(of.FieldICMPv6Type)
	return p.isICMPv6() && (kind == icmpv6Solicit || kind == icmpv6Advertise) && p.Uint(of.FieldICMPv6Code) == 0
}

// has reports whether the packet has the header that a field stands in: Open vSwitch skips
// a write to a field whose prerequisites (ovs-fields(7)) do not hold.
func (p *Packet) has(f of.Field) bool {
	switch f {
	case of.FieldVLANVID, of.FieldVLANPCP:
		return p.seen > 0
	case of.FieldIPSrc, of.FieldIPDst:
		return p.isIPv4()
	case of.FieldIPv6Src, of.FieldIPv6Dst, of.FieldIPv6Label:
		return p.isIPv6()
	case of.FieldIPProto, of.FieldIPDSCP, of.FieldIPECN, of.FieldIPTTL, of.FieldIPFrag:
		return p.isIP()
	case of.FieldARPOp, of.FieldARPSPA, of.FieldARPTPA, of.FieldARPSHA, of.FieldARPTHA:
		return p.isARP()
	}
	return p.hasTransport(f)
}

func (p *Packet) hasTransport(f of.Field) bool {
	switch f {
	case of.FieldTCPSrc, of.FieldTCPDst, of.FieldTCPFlags:
		return p.isTCP()
	case of.FieldUDPSrc, of.FieldUDPDst:
		return p.isUDP()
	case of.FieldICMPType, of.FieldICMPCode:
		return p.isICMP()
	case of.FieldICMPv6Type, of.FieldICMPv6Code:
		return p.isICMPv6()
	case of.FieldNDTarget, of.FieldNDReserved, of.FieldNDOptionsType:
		return p.isND()
	case of.FieldNDSLL:
		return p.isND() && p.Uint(of.FieldICMPv6Type) == icmpv6Solicit
	case of.FieldNDTLL:
		return p.isND() && p.Uint(of.FieldICMPv6Type) == icmpv6Advertise
	}
	return true
}

// modelled reports whether packets carry a field here.
func modelled(f of.Field) bool {
	switch f {
	case of.FieldInPort, of.FieldTunID, of.FieldTunSrc, of.FieldTunDst, of.FieldTunIPv6Src, of.FieldTunIPv6Dst, of.FieldMetadata,
		of.FieldPktMark, of.FieldCTState, of.FieldCTZone, of.FieldCTMark, of.FieldCTLabel:
		return true
	case of.FieldSCTPSrc, of.FieldSCTPDst, of.FieldRecircID, of.FieldDPHash:
		return false
	}
	return f >= of.FieldReg0 && f <= of.FieldXXReg3 ||
		f >= of.FieldEthSrc && f <= of.FieldVLANPCP ||
		f >= of.FieldIPSrc && f <= of.FieldNDOptionsType
}
