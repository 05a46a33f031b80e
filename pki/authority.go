package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// The authority's files in its directory. AuthorityFile is for everybody; authorityKey stays.
const (
	AuthorityFile = "ca.crt"
	authorityKey  = "ca.key"
)

// Lifetimes. A certificate is renewed at two thirds of its own, see RenewAt.
const (
	AuthorityLifetime = 10 * 365 * 24 * time.Hour
	Lifetime          = 90 * 24 * time.Hour
	// skew is how far a machine's clock may be behind the authority's.
	skew = time.Hour
)

// Authority signs certificates.
type Authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
	trusted     []byte // AuthorityFile, as it stands
}

// CreateAuthority makes an authority in a directory, which is made where it is missing. It does
// not replace one that is there: nobody would be believed any more.
func CreateAuthority(dir string) (*Authority, error) {
	for _, name := range []string{authorityKey, AuthorityFile} {
		switch _, err := os.Stat(filepath.Join(dir, name)); {
		case err == nil:
			return nil, fmt.Errorf("authority in %s: %s is there already: %w", dir, name, fs.ErrExist)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("authority in %s: %w", dir, err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("authority in %s: make a key: %w", dir, err)
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "sluice authority " + time.Now().UTC().Format(time.DateOnly)},
		IsCA:    true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := certify(template, template, AuthorityLifetime, key.Public(), key)
	if err == nil {
		err = writeAuthority(dir, der, key)
	}
	if err != nil {
		return nil, fmt.Errorf("authority in %s: %w", dir, err)
	}
	return OpenAuthority(dir)
}

// writeAuthority writes the key first: a certificate without its key would stop the next attempt.
func writeAuthority(dir string, der []byte, key crypto.Signer) error {
	keyPEM, err := encodeKey(key)
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(dir, authorityKey), keyPEM, secret); err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, AuthorityFile), encodeCertificate(der), public)
}

// OpenAuthority reads the authority of a directory. fs.ErrNotExist: there is none, or its key is
// on another machine.
func OpenAuthority(dir string) (*Authority, error) {
	keyPEM, err := os.ReadFile(filepath.Join(dir, authorityKey))
	if err != nil {
		return nil, fmt.Errorf("authority in %s: %w", dir, err)
	}
	key, err := decodeKey(keyPEM)
	if err != nil {
		return nil, fmt.Errorf("authority in %s: %s: %w", dir, authorityKey, err)
	}
	trusted, err := os.ReadFile(filepath.Join(dir, AuthorityFile))
	if err != nil {
		return nil, fmt.Errorf("authority in %s: %w", dir, err)
	}
	all, err := decodeCertificates(trusted)
	if err != nil {
		return nil, fmt.Errorf("authority in %s: %s: %w", dir, AuthorityFile, err)
	}
	for _, c := range all { // there are two while one authority follows another
		if samePublicKey(c.PublicKey, key.Public()) {
			return &Authority{c, key, trusted}, nil
		}
	}
	return nil, fmt.Errorf("authority in %s: %s is the key of no certificate in %s", dir, authorityKey, AuthorityFile)
}

// Certificate is the authority's own.
func (a *Authority) Certificate() *x509.Certificate { return a.certificate }

// PEM is what AuthorityFile is to hold on every machine: the authority's certificate, and that of
// another one while one follows the other.
func (a *Authority) PEM() []byte { return a.trusted }

// loopback are names that every server answers to.
var loopback = []string{"localhost", "127.0.0.1", "::1"}

// Sign makes a certificate for an identity, whatever name the request itself has: who asks is for
// the caller to know. request is PEM. names are a server's addresses and DNS names, besides the
// loopback's; others have none. It lives for lifetime, but not longer than the authority.
func (a *Authority) Sign(request []byte, who Identity, names []string, lifetime time.Duration) (certificate []byte, err error) {
	if err := who.Validate(); err != nil {
		return nil, err
	}
	if !who.Role.serves() && len(names) > 0 {
		return nil, fmt.Errorf("sign for %s: a %s serves nobody: it has no names, such as %s", who, who.Role, names[0])
	}
	csr, err := decodeRequest(request)
	if err != nil {
		return nil, fmt.Errorf("sign for %s: %w", who, err)
	}
	if lifetime <= 0 {
		return nil, fmt.Errorf("sign for %s: lifetime %s: give more than 0", who, lifetime)
	}
	der, err := certify(leafFor(who, names), a.certificate, lifetime, csr.PublicKey, a.key)
	if err != nil {
		return nil, fmt.Errorf("sign for %s: %w", who, err)
	}
	return encodeCertificate(der), nil
}

// certify makes a certificate that is valid from now on, for lifetime but not longer than its signer's,
// which may be itself.
func certify(template, signer *x509.Certificate, lifetime time.Duration, of crypto.PublicKey, by crypto.Signer) (der []byte, err error) {
	now := time.Now()
	template.NotBefore, template.NotAfter = now.Add(-skew), now.Add(lifetime)
	if template.NotAfter.After(signer.NotAfter) {
		template.NotAfter = signer.NotAfter
	}
	return x509.CreateCertificate(rand.Reader, template, signer, of, by)
}

// leafFor is a certificate without its times.
func leafFor(who Identity, names []string) *x509.Certificate {
	c := &x509.Certificate{
		Subject: pkix.Name{CommonName: who.String()}, URIs: []*url.URL{who.uri()},
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if !who.Role.serves() {
		return c
	}
	c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	for _, name := range slices.Concat(loopback, names) {
		if ip := net.ParseIP(name); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, name)
		}
	}
	return c
}

// NamesOf are the addresses and DNS names of a server's certificate, as Sign takes them: a renewed
// one shall have the same.
func NamesOf(c *x509.Certificate) []string {
	names := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	return slices.DeleteFunc(names, func(name string) bool { return slices.Contains(loopback, name) })
}

func samePublicKey(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// strong refuses keys that this package would not make: a request may come from another program.
func strong(key crypto.PublicKey) error {
	switch k := key.(type) {
	case ed25519.PublicKey:
		return nil
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() || k.Curve == elliptic.P384() {
			return nil
		}
	}
	return errors.New("its key is neither ECDSA (P-256, P-384) nor Ed25519: make the request with `sluice pki request`")
}
