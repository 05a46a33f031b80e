package api

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Lengths of names, in bytes.
const (
	maxName  = 63 // of a DNS label
	readable = 50 // of what PortName keeps of a name
)

// PortName is a DNS label for the port of a container: its readable name, as far as a label may hold it,
// and 8 hexadecimal digits that stand for identity, which tells containers of one name apart.
func PortName(name, identity string) string {
	sum := sha256.Sum256([]byte(identity))
	return strings.TrimLeft(label(name, readable)+"-"+hex.EncodeToString(sum[:4]), "-")
}

// IsLabel reports whether a text is a DNS label as it stands.
func IsLabel(text string) bool { return text != "" && label(text, maxName) == text }

// label keeps of a text what a DNS label may hold.
func label(text string, length int) string {
	kept := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		default:
			return '-'
		}
	}, text)
	return strings.Trim(kept[:min(length, len(kept))], "-")
}
