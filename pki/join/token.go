package join

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"sluice/pki"
)

// Token lets whoever has it join once.
type Token struct {
	Host      string `json:"host"`      // the name that the machine gets
	API       string `json:"api"`       // https://HOST:PORT of a controller that signs
	Authority string `json:"authority"` // HashOf the authority's certificate
	ID        string `json:"id"`
	Secret    string `json:"secret"`
}

// prefix says to people and to programs that look for lost secrets what a token is.
const prefix = "sluice-join."

// New is a token with an id and a secret that nobody else has, both of 128 bits or more.
func New(host, api string, authority *x509.Certificate) Token {
	return Token{
		Host: host, API: api, Authority: HashOf(authority),
		ID: strings.ToLower(rand.Text()), Secret: strings.ToLower(rand.Text()),
	}
}

// String is the token as people carry it.
func (t Token) String() string {
	text, _ := json.Marshal(t) // plain texts: cannot fail
	return prefix + base64.RawURLEncoding.EncodeToString(text)
}

// errToken is all that is said of a token that cannot be read: part of it is secret.
var errToken = errors.New("it is no token: use all that `sluice host invite` printed, and nothing else")

// Parse reads what String writes.
func Parse(text string) (Token, error) {
	var t Token
	encoded, found := strings.CutPrefix(strings.TrimSpace(text), prefix)
	if !found {
		return t, errToken
	}
	b, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return t, errToken
	}
	decoder := json.NewDecoder(bytes.NewReader(b))
	if err := decoder.Decode(&t); err != nil || t.ID == "" || t.Secret == "" || t.Authority == "" {
		return t, errToken
	}
	if u, err := url.Parse(t.API); err != nil || u.Scheme != "https" || u.Host == "" {
		return t, fmt.Errorf("the token's API %q does not begin with https://", t.API)
	}
	return t, pki.Host(t.Host).Validate()
}

// HashOf is how a token names an authority: SHA-256 of its certificate, in hexadecimal.
func HashOf(authority *x509.Certificate) string {
	sum := sha256.Sum256(authority.Raw)
	return hex.EncodeToString(sum[:])
}

// HashOfSecret is how etcd keeps a token's secret. The secret is random and long: it needs no salt.
func HashOfSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
