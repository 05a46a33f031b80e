package openflow

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// matchNames are the names of fields in a match and in set_field that mean one field
// whatever the protocol.
var matchNames = indexNames(map[string]Field{
	"in_port": FieldInPort, "tunnel_id": FieldTunID, "eth_src": FieldEthSrc, "eth_dst": FieldEthDst,
	"dl_src": FieldEthSrc, "dl_dst": FieldEthDst, "dl_type": FieldEthType, "eth_type": FieldEthType,
	"ip_proto": FieldIPProto, "ip_ecn": FieldIPECN, "ip_frag": FieldIPFrag, "nw_frag": FieldIPFrag,
	"vlan_vid": FieldVLANVID, "vlan_pcp": FieldVLANPCP, "vlan_tci": FieldVLANTCI,
})

// partNames are the names of fields in actions on bits: NXM_NX_REG0, OXM_OF_METADATA, reg0.
var partNames = indexPartNames()

func indexNames(names map[string]Field) map[string]Field {
	for f := FieldInvalid + 1; f < numFields; f++ {
		s := f.spec()
		for _, name := range []string{s.name, s.wide().text} {
			if _, short := shortName(protocol{}, name); !short && name != "" {
				names[name] = f
			}
		}
	}
	return names
}

func indexPartNames() map[string]Field {
	names := map[string]Field{}
	for f := FieldInvalid + 1; f < numFields; f++ {
		s := f.spec()
		for _, id := range []oxmID{s.oxm, s.nxm} {
			if id.bytes == s.short().bytes && id.bytes != 0 {
				names[id.text] = f
			}
		}
		if f != FieldInPort && s.short().bytes != 0 {
			names[s.name] = f
		}
	}
	return names
}

// matchParser gathers the words before actions=.
type matchParser struct {
	flow   *Flow
	fields []MatchField
	later  []word // names that depend on the protocol
}

func (p *matchParser) word(w word) error {
	if w.form == '(' {
		return fmt.Errorf("%s(...) in a match is not known", w.key)
	}
	if w.form == 0 {
		return p.keyword(w.key)
	}
	if done, err := p.setting(w); done {
		return err
	}
	switch w.key {
	case "dl_vlan":
		return p.number(w, 12, func(v uint64) MatchField { return Is(FieldVLANVID, v|vlanPresent) })
	case "dl_vlan_pcp":
		return p.number(w, 3, func(v uint64) MatchField { return Is(FieldVLANPCP, v) })
	case "oxm":
		return p.unknown(w.value)
	}
	if _, short := shortName(protocol{}, w.key); short {
		p.later = append(p.later, w)
		return nil
	}
	f, ok := matchNames[w.key]
	if !ok {
		return fmt.Errorf("field %s is not known", w.key)
	}
	return p.field(f, w.value)
}

// keyword reads a word that stands alone: a protocol or a flag.
func (p *matchParser) keyword(key string) error {
	for i, name := range flagNames {
		if key == name {
			p.flow.Flags |= 1 << i
			return nil
		}
	}
	for _, k := range protocols {
		if key != k.word {
			continue
		}
		if err := p.add(Is(FieldEthType, uint64(k.ether))); err != nil || k.proto == 0 {
			return err
		}
		return p.add(Is(FieldIPProto, uint64(k.proto)))
	}
	return fmt.Errorf("word %q is not known", key)
}

// setting reads what is no match; done: it was such.
func (p *matchParser) setting(w word) (done bool, err error) {
	f := p.flow
	switch w.key {
	case "cookie":
		f.Cookie, err = parseNumber(w.value, 64)
		return true, named(w.key, err)
	case "table":
		return true, setNumber(w, 8, func(v uint64) { f.Table = uint8(v) })
	case "priority":
		return true, setNumber(w, 16, func(v uint64) { f.Priority = uint16(v) })
	case "idle_timeout":
		return true, setNumber(w, 16, func(v uint64) { f.IdleTimeout = uint16(v) })
	case "hard_timeout":
		return true, setNumber(w, 16, func(v uint64) { f.HardTimeout = uint16(v) })
	case "flags":
		return true, setNumber(w, 16, func(v uint64) { f.Flags |= Flags(v) })
	}
	return false, nil
}

func named(key string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

func setNumber(w word, bits int, set func(uint64)) error {
	v, err := parseNumber(w.value, bits)
	if err == nil {
		set(v)
	}
	return named(w.key, err)
}

func (p *matchParser) number(w word, bits int, field func(uint64) MatchField) error {
	v, err := parseNumber(w.value, bits)
	if err != nil {
		return named(w.key, err)
	}
	return p.add(field(v))
}

func (p *matchParser) unknown(text string) error {
	raw, err := hex.DecodeString(strings.TrimPrefix(text, "0x"))
	if err != nil || len(raw) == 0 || p.flow.Unknown != "" {
		return fmt.Errorf("oxm: %q are no bytes", text)
	}
	m, unknown, err := decodeFields(raw)
	if err != nil || m != nil || unknown != string(raw) {
		return fmt.Errorf("oxm: %q is not an unknown field", text)
	}
	p.flow.Unknown = unknown
	return nil
}

// add puts a field into the match; twice the same is once.
func (p *matchParser) add(f MatchField) error {
	for _, g := range p.fields {
		if g.Field == f.Field && g != f {
			return fmt.Errorf("field %s stands twice with different values", f.Field)
		}
		if g == f {
			return nil
		}
	}
	p.fields = append(p.fields, f)
	return nil
}

func (p *matchParser) field(f Field, text string) error {
	v, mask, err := parseMatchValue(f, text)
	if err != nil {
		return err
	}
	return p.add(MatchField{Field: f, Value: v, Mask: mask})
}

func parseMatchValue(f Field, text string) (v, mask Value, err error) {
	switch f.spec().kind {
	case kindCTState:
		return parseFlags(f, ctStateNames[:], text)
	case kindTCPFlags:
		return parseFlags(f, tcpFlagNames[:], text)
	case kindTunFlags:
		return parseFlags(f, tunFlagNames[:], text)
	case kindFrag:
		for _, n := range fragNames {
			if n.word == text {
				return U64(n.value), U64(n.mask), nil
			}
		}
	}
	if f.spec().wide().bytes == 0 {
		return v, mask, fmt.Errorf("field %s depends on the bridge's tunnel option table", f)
	}
	return parseValue(f, text)
}

// parseFlags reads +a-b, a|b, or numbers.
func parseFlags(f Field, names []string, text string) (v, mask Value, err error) {
	if text == "" || text[0] != '+' && text[0] != '-' {
		if text != "" && text[0] >= '0' && text[0] <= '9' {
			return parseValue(f, text)
		}
		for name := range strings.SplitSeq(text, "|") {
			bit, err := flagBit(f, names, name)
			if err != nil {
				return v, mask, err
			}
			v.Lo |= bit
		}
		return v, Ones(f.Bits()), nil
	}
	for text != "" {
		sign := text[0]
		name := text[1:]
		if end := strings.IndexAny(name, "+-"); end >= 0 {
			name = name[:end]
		}
		bit, err := flagBit(f, names, name)
		if err != nil {
			return v, mask, err
		}
		mask.Lo |= bit
		if sign == '+' {
			v.Lo |= bit
		}
		text = text[1+len(name):]
	}
	return v, mask, nil
}

func flagBit(f Field, names []string, name string) (uint64, error) {
	for i, n := range names {
		if n == name {
			return 1 << i, nil
		}
	}
	return 0, fmt.Errorf("%s: flag %q is not known", f, name)
}

// finish reads the names that depend on the protocol, now that it is known, and makes the
// match.
func (p *matchParser) finish() error {
	kind := NewMatch(p.fields...).kindOf()
	for _, w := range p.later {
		f, _ := shortName(kind, w.key)
		if f == FieldIPProto || f == FieldInvalid && w.key == "nw_proto" {
			return p.lateProtocol(w, kind)
		}
	}
	for _, w := range p.later {
		if err := p.lateField(w, kind); err != nil {
			return err
		}
	}
	if err := p.vlanPresence(); err != nil {
		return err
	}
	m := NewMatch(p.fields...)
	if len(m) > 0 {
		p.flow.Match = m
	}
	return nil
}

// lateProtocol reads nw_proto, which decides what other names mean, and starts again.
func (p *matchParser) lateProtocol(w word, kind protocol) error {
	if kind.ether != EtherIPv4 && kind.ether != EtherIPv6 {
		return errors.New("nw_proto needs ip or ipv6")
	}
	if err := p.field(FieldIPProto, w.value); err != nil {
		return err
	}
	rest := p.later[:0]
	for _, other := range p.later {
		if other.key != w.key || other.value != w.value {
			rest = append(rest, other)
		}
	}
	p.later = rest
	return p.finish()
}

func (p *matchParser) lateField(w word, kind protocol) error {
	f, _ := shortName(kind, w.key)
	if f == FieldInvalid {
		return fmt.Errorf("%s needs a protocol that has it", w.key)
	}
	if f == FieldIPDSCP {
		v, err := parseNumber(w.value, 8)
		if err != nil || v&3 != 0 {
			return fmt.Errorf("nw_tos: %q is no multiple of 4 below 256", w.value)
		}
		return p.add(Is(f, v>>2))
	}
	return p.field(f, w.value)
}

// vlanPresence adds to a priority without a VLAN id that there is a tag, as dl_vlan_pcp
// means it; vlan_tci says that by itself.
func (p *matchParser) vlanPresence() error {
	var pcp, vid, tci bool
	for _, f := range p.fields {
		pcp = pcp || f.Field == FieldVLANPCP
		vid = vid || f.Field == FieldVLANVID
		tci = tci || f.Field == FieldVLANTCI
	}
	switch {
	case tci && (vid || pcp):
		return errors.New("vlan_tci stands beside another VLAN field")
	case pcp && !vid:
		return p.add(Masked(FieldVLANVID, U64(vlanPresent), U64(vlanPresent)))
	}
	return nil
}
