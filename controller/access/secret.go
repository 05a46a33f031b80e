package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strings"
)

// A token's text is sluice_NAME_SECRET. The name finds it in the state; the secret, 256 random bits,
// is what must be right. Nobody can guess it from its SHA-256, so that no slow hash is needed.
const tokenPrefix = "sluice_"

const secretBytes = 32

// NewToken makes the text of a token of that name, and the hash of its secret.
func NewToken(name string) (text, hash string) {
	secret := newSecret()
	return tokenPrefix + name + "_" + secret, hashOf(secret)
}

func newSecret() string {
	b := make([]byte, secretBytes)
	rand.Read(b) // it never fails: the program ends where the system has no random bytes
	return hex.EncodeToString(b)
}

// parts are the name and the secret of a token's text. Names have no underscore.
func parts(text string) (name, secret string, ok bool) {
	rest, ok := strings.CutPrefix(text, tokenPrefix)
	if !ok {
		return "", "", false
	}
	name, secret, ok = strings.Cut(rest, "_")
	return name, secret, ok && len(secret) == 2*secretBytes
}

func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// same compares two texts in a time that does not tell where they differ.
func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
