package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Request is a new key of this machine and what asks an authority for its certificate.
type Request struct {
	Identity Identity
	PEM      []byte // the request: what travels

	key crypto.Signer
}

// NewRequest makes a key.
func NewRequest(who Identity) (*Request, error) {
	if err := who.Validate(); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("%s: make a key: %w", who, err)
	}
	return requestWith(who, key)
}

func requestWith(who Identity, key crypto.Signer) (*Request, error) {
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: who.String()}}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return nil, fmt.Errorf("%s: make a request: %w", who, err)
	}
	return &Request{who, pem.EncodeToMemory(&pem.Block{Type: requestBlock, Bytes: der}), key}, nil
}

// pending is where the key of a request waits for its certificate.
func pending(dir string, who Identity) string { return filepath.Join(dir, who.File()+".key") }

// Keep writes the key into a directory, where LoadRequest finds it when the certificate comes.
func (r *Request) Keep(dir string) error {
	text, err := encodeKey(r.key)
	if err == nil {
		err = writeFile(pending(dir, r.Identity), text, secret)
	}
	if err != nil {
		return fmt.Errorf("%s: keep the key: %w", r.Identity, err)
	}
	return nil
}

// LoadRequest reads what Keep wrote.
func LoadRequest(dir string, who Identity) (*Request, error) {
	text, err := os.ReadFile(pending(dir, who))
	if err != nil {
		return nil, fmt.Errorf("%s: key of a request: %w", who, err)
	}
	key, err := decodeKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: key of a request: %s: %w", who, pending(dir, who), err)
	}
	return requestWith(who, key)
}

// Install writes the certificate that an authority made for the request, with its key, into the
// identity's file of a directory, and the authority's certificate, where that is given, into
// AuthorityFile. The one file is replaced as a whole: whoever reads it never finds a key beside
// another key's certificate.
func (r *Request) Install(dir string, certificate, authority []byte) error {
	if err := r.check(certificate); err != nil {
		return fmt.Errorf("%s: certificate: %w", r.Identity, err)
	}
	key, err := encodeKey(r.key)
	if err != nil {
		return err
	}
	if authority != nil {
		if err := installAuthority(dir, authority); err != nil {
			return fmt.Errorf("%s: the authority's certificate: %w", r.Identity, err)
		}
	}
	path := filepath.Join(dir, r.Identity.File())
	if err := writeFile(path, slices.Concat(certificate, key), secret); err != nil {
		return fmt.Errorf("%s: certificate: %w", r.Identity, err)
	}
	_ = os.Remove(pending(dir, r.Identity)) // it stands in the file now; mostly there is none
	return nil
}

// installAuthority leaves a file alone that is right: others read it again when it changes.
func installAuthority(dir string, authority []byte) error {
	if _, err := decodeCertificates(authority); err != nil {
		return err
	}
	path := filepath.Join(dir, AuthorityFile)
	if there, err := os.ReadFile(path); err == nil && bytes.Equal(there, authority) {
		return nil
	}
	return writeFile(path, authority, public)
}

func (r *Request) check(certificate []byte) error {
	all, err := decodeCertificates(certificate)
	if err != nil {
		return err
	}
	who, err := Of(all[0])
	switch {
	case err != nil:
		return err
	case who != r.Identity:
		return fmt.Errorf("it is of %s", who)
	case !samePublicKey(all[0].PublicKey, r.key.Public()):
		return errors.New("it is of another key than this request's")
	}
	return nil
}
