package openflow

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Ways in which a BundleLoad chooses (ovs-actions(7)).
const (
	ActiveBackup        uint16 = iota // the first member that is live
	HighestRandomWeight               // by a hash of the frame, among the members that are live
)

// Names of what a BundleLoad chooses by, and of what it hashes, by number.
var (
	algorithmNames  = [...]string{"active_backup", "hrw"}
	hashFieldsNames = [...]string{"eth_src", "symmetric_l4", "symmetric_l3l4", "symmetric_l3l4+udp", "nw_src", "nw_dst", "symmetric_l3"}
)

const (
	memberType   = 0x00000002 // NXM_OF_IN_PORT: members are ports of the switch
	leastLoaded  = 16         // bits that a port's number takes
	bundleFixed  = 22         // bytes before the members, after the subtype
	mostMembers  = 2048       // Open vSwitch takes no more (BUNDLE_MAX_MEMBERS)
	memberPrefix = "members:"
)

func appendBundleLoad(b []byte, a *BundleLoad) (_ []byte, ok bool) {
	p, ok := a.Target.word()
	if !ok || p.bits < leastLoaded || int(a.Algorithm) >= len(algorithmNames) || int(a.Fields) >= len(hashFieldsNames) || len(a.Members) > mostMembers {
		return b, false
	}
	b = be.AppendUint16(appendNicira(b, niciraBundleLoad), a.Algorithm)
	b = be.AppendUint16(be.AppendUint16(b, a.Fields), a.Basis)
	b = be.AppendUint16(be.AppendUint32(b, memberType), uint16(len(a.Members)))
	b = be.AppendUint32(be.AppendUint16(b, p.offsetAndBits()), p.header)
	b = zeroes(b, 4)
	for _, port := range a.Members {
		b = be.AppendUint16(b, port)
	}
	return b, true
}

// decodeBundleLoad reads from the subtype on.
func decodeBundleLoad(b []byte) Action {
	if len(b) < bundleFixed {
		return nil
	}
	a := BundleLoad{
		Algorithm: be.Uint16(b), Fields: be.Uint16(b[2:]), Basis: be.Uint16(b[4:]),
		Target: packedSubfield(be.Uint32(b[14:]), be.Uint16(b[12:])),
	}
	members, rest := int(be.Uint16(b[10:])), b[bundleFixed:]
	if 2*members > len(rest) {
		return nil
	}
	for i := range members {
		a.Members = append(a.Members, be.Uint16(rest[2*i:]))
	}
	return a
}

func appendBundleLoadText(b []byte, a *BundleLoad) []byte {
	b = append(appendName(append(b, "bundle_load("...), hashFieldsNames[:], a.Fields), ',')
	b = append(strconv.AppendUint(b, uint64(a.Basis), 10), ',')
	b = append(appendName(b, algorithmNames[:], a.Algorithm), ",ofport,"...)
	b = append(append(a.Target.appendText(b), ','), memberPrefix...)
	for i, port := range a.Members {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendPortName(b, widePort(port))
	}
	return append(b, ')')
}

// appendName appends the name of a number, or the number where it has none.
func appendName(b []byte, names []string, n uint16) []byte {
	if int(n) < len(names) {
		return append(b, names[n]...)
	}
	return strconv.AppendUint(b, uint64(n), 10)
}

// widePort is a port's number of 16 bits as OpenFlow 1.3 has it.
func widePort(port uint16) uint32 {
	if uint32(port) >= PortUnset&0xffff {
		return uint32(port) | 0xffff0000
	}
	return uint32(port)
}

func parseBundleLoad(s string) (Action, error) {
	words := strings.SplitN(s, ",", 6)
	for i := range words {
		words[i] = strings.TrimSpace(words[i])
	}
	if len(words) < 6 || words[3] != "ofport" {
		return nil, fmt.Errorf("%q is not fields,basis,algorithm,ofport,field,members:ports", s)
	}
	fields, algorithm := slices.Index(hashFieldsNames[:], words[0]), slices.Index(algorithmNames[:], words[2])
	if fields < 0 || algorithm < 0 {
		return nil, fmt.Errorf("there is no %s by %s", words[2], words[0])
	}
	basis, err := parseNumber(words[1], 16)
	if err != nil {
		return nil, err
	}
	a := BundleLoad{Fields: uint16(fields), Basis: uint16(basis), Algorithm: uint16(algorithm)}
	if a.Target, err = parseSubfield(words[4]); err != nil {
		return nil, err
	}
	if p, ok := a.Target.word(); !ok || p.bits < leastLoaded {
		return nil, fmt.Errorf("%s does not hold 16 to 64 bits", words[4])
	}
	a.Members, err = parseMembers(words[5])
	return a, err
}

func parseMembers(s string) ([]uint16, error) {
	ports, ok := strings.CutPrefix(s, memberPrefix)
	if !ok {
		return nil, errors.New("no members: in it")
	}
	var members []uint16
	for port := range strings.SplitSeq(ports, ",") {
		if port = strings.TrimSpace(port); port == "" {
			continue
		}
		p, err := parsePort(port)
		if err != nil || p > 0xffff && p < PortUnset {
			return nil, fmt.Errorf("%q is no port of 16 bits", port)
		}
		members = append(members, uint16(p))
	}
	if len(members) > mostMembers {
		return nil, fmt.Errorf("%d members: a switch takes %d", len(members), mostMembers)
	}
	return members, nil
}
