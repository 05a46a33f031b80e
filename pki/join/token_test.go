package join

import (
	"crypto/x509"
	"encoding/base64"
	"strings"
	"testing"
)

func TestTokens(t *testing.T) {
	token := New("h1", "https://192.0.2.1:8080", &x509.Certificate{Raw: []byte("authority")})
	again := New("h1", "https://192.0.2.1:8080", &x509.Certificate{Raw: []byte("authority")})
	if token.ID == again.ID || token.Secret == again.Secret || token.Authority != again.Authority {
		t.Errorf("two tokens are %+v and %+v", token, again)
	}
	if len(token.Secret) < 26 || HashOfSecret(token.Secret) == HashOfSecret(again.Secret) { // 26 characters of base 32 are 130 bits
		t.Errorf("secrets are %q and %q", token.Secret, again.Secret)
	}
	if read, err := Parse(" " + token.String() + "\n"); err != nil || read != token {
		t.Errorf("%+v is read as %+v, %v", token, read, err)
	}
	written := func(change func(*Token)) string {
		t := token
		change(&t)
		return t.String()
	}
	for name, text := range map[string]string{
		"nothing":             "",
		"an API token":        "sluice-abc.def",
		"half of it":          token.String()[:60],
		"not base64":          prefix + "!",
		"not JSON":            prefix + base64.RawURLEncoding.EncodeToString([]byte("x")),
		"no secret":           written(func(t *Token) { t.Secret = "" }),
		"no id":               written(func(t *Token) { t.ID = "" }),
		"no authority":        written(func(t *Token) { t.Authority = "" }),
		"an API in clear":     written(func(t *Token) { t.API = "http://192.0.2.1:8080" }),
		"an API without host": written(func(t *Token) { t.API = "https://" }),
		"no host's name":      written(func(t *Token) { t.Host = "h1/../x" }),
	} {
		if read, err := Parse(text); err == nil {
			t.Errorf("%s is read as %+v", name, read)
		} else if strings.Contains(err.Error(), token.Secret) {
			t.Errorf("%s: the refusal tells the secret: %v", name, err)
		}
	}
}
