package openflow

import (
	"errors"
	"fmt"
	"strings"
)

// eachWord reads words and hands them on.
func eachWord(s string, do func(word) error) error {
	for t := (tokens{rest: s}); ; {
		w, ok, err := t.next()
		if err != nil || !ok {
			return err
		}
		if err := do(w); err != nil {
			return err
		}
	}
}

func parseCT(s string, depth int) (Action, error) {
	a := CT{Table: TableAll}
	if err := eachWord(s, func(w word) error { return a.parseWord(w, depth) }); err != nil {
		return nil, err
	}
	if a.Force && !a.Commit {
		return nil, errors.New("force needs commit")
	}
	return a, nil
}

func (a *CT) parseWord(w word, depth int) (err error) {
	switch w.key {
	case "commit":
		a.Commit = true
	case "force":
		a.Force = true
	case "table":
		return setNumber(w, 8, func(v uint64) { a.Table = uint8(v) })
	case "zone":
		return a.parseZone(w)
	case "alg":
		return a.parseALG(w)
	case "nat":
		a.NAT, err = parseNAT(w.value)
	case "exec":
		a.Exec, err = parseActions(w.value, depth+1)
	default:
		return fmt.Errorf("%q is not known", w.key)
	}
	return err
}

func (a *CT) parseZone(w word) error {
	if !strings.Contains(w.value, "[") {
		return setNumber(w, 16, func(v uint64) { a.Zone = uint16(v) })
	}
	zone, err := parseSubfield(w.value)
	if err != nil {
		return err
	}
	if p, ok := zone.part(); !ok || p.bits != 16 {
		return fmt.Errorf("zone %s has not 16 bits", w.value)
	}
	a.ZoneField = &zone
	return nil
}

func (a *CT) parseALG(w word) error {
	switch w.value {
	case "ftp":
		a.ALG = algFTP
	case "tftp":
		a.ALG = algTFTP
	default:
		return setNumber(w, 16, func(v uint64) { a.ALG = uint16(v) })
	}
	return nil
}

func parseNAT(s string) (*NAT, error) {
	n := &NAT{}
	err := eachWord(s, func(w word) error {
		switch w.key {
		case "src":
			n.Source = true
		case "dst":
			n.Destination = true
		case "persistent":
			n.Persistent = true
			return nil
		case "hash":
			n.Hash = true
			return nil
		case "random":
			n.Random = true
			return nil
		default:
			return fmt.Errorf("nat: %q is not known", w.key)
		}
		if w.form == 0 {
			return nil
		}
		return n.parseRange(w.value)
	})
	if err != nil {
		return nil, err
	}
	if _, ok := n.parts(); !ok {
		return nil, fmt.Errorf("nat(%s) says more than one thing, or nothing", s)
	}
	return n, nil
}

// parseRange reads A, A-B, A:P, A-B:P-Q; IPv6 addresses before a port stand in brackets.
func (n *NAT) parseRange(s string) error {
	addresses, ports := s, ""
	if strings.Contains(s, "]:") {
		at := strings.LastIndex(s, ":")
		addresses, ports = s[:at], s[at+1:]
	} else if strings.Count(s, ":") == 1 {
		addresses, ports, _ = strings.Cut(s, ":")
	}
	low, high, isRange := strings.Cut(addresses, "-")
	n.V6 = strings.Contains(low, ":")
	var err error
	if n.MinAddress, err = parseIP(unbracket(low), n.V6); err != nil {
		return err
	}
	if isRange {
		if n.MaxAddress, err = parseIP(unbracket(high), n.V6); err != nil {
			return err
		}
	}
	if ports == "" {
		return nil
	}
	return n.parsePorts(ports)
}

func unbracket(s string) string {
	return strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
}

func (n *NAT) parsePorts(s string) error {
	low, high, isRange := strings.Cut(s, "-")
	v, err := parseNumber(low, 16)
	if err != nil {
		return err
	}
	n.MinPort = uint16(v)
	if isRange {
		if v, err = parseNumber(high, 16); err != nil {
			return err
		}
		n.MaxPort = uint16(v)
	}
	return nil
}

func parseController(s string) (Action, error) {
	a := Controller{MaxLength: 0xffff, Reason: reasonAction}
	err := eachWord(s, func(w word) error {
		switch w.key {
		case "max_len":
			return setNumber(w, 16, func(v uint64) { a.MaxLength = uint16(v) })
		case "id":
			return setNumber(w, 16, func(v uint64) { a.ID = uint16(v) })
		case "reason":
			for i, name := range reasonNames {
				if name == w.value {
					a.Reason = uint8(i)
					return nil
				}
			}
			return setNumber(w, 8, func(v uint64) { a.Reason = uint8(v) })
		}
		return fmt.Errorf("%q is not known", w.key)
	})
	return a, err
}
