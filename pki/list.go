package pki

import (
	"context"
	"crypto/x509"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// List is whose certificates a directory holds, sorted.
func List(dir string) ([]Identity, error) {
	var all []Identity
	for _, role := range Roles() {
		paths, err := filepath.Glob(filepath.Join(dir, Identity{role, "*"}.File()))
		if err != nil {
			return nil, fmt.Errorf("list certificates of %s: %w", dir, err)
		}
		slices.Sort(paths)
		for _, path := range paths {
			name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), string(role)+"-"), ".pem")
			all = append(all, Identity{role, name})
		}
	}
	return all, nil
}

// Read is an identity's certificate in a directory, whether or not it is of use.
func Read(dir string, who Identity) (*x509.Certificate, error) {
	all, err := readCertificates(filepath.Join(dir, who.File()))
	if err != nil {
		return nil, fmt.Errorf("certificate of %s: %w", who, err)
	}
	return all[0], nil
}

// ReadAuthority is the certificates in a directory's AuthorityFile.
func ReadAuthority(dir string) ([]*x509.Certificate, error) {
	all, err := readCertificates(filepath.Join(dir, AuthorityFile))
	if err != nil {
		return nil, fmt.Errorf("certificate of the authority: %w", err)
	}
	return all, nil
}

// RenewalOf signs what follows a certificate: for the same identity and names.
func (a *Authority) RenewalOf(c *x509.Certificate) Signer {
	return func(_ context.Context, request []byte) ([]byte, error) {
		who, err := Of(c)
		if err != nil {
			return nil, err
		}
		var names []string
		if who.Role.serves() {
			names = NamesOf(c)
		}
		return a.Sign(request, who, names, Lifetime)
	}
}

// Renew makes a new key and replaces an identity's certificate in a directory with one for it.
// Whoever has the Source uses the new one from the next connection on.
func Renew(ctx context.Context, dir string, who Identity, sign Signer) error {
	r, err := NewRequest(who)
	if err != nil {
		return err
	}
	certificate, err := sign(ctx, r.PEM)
	if err != nil {
		return fmt.Errorf("renew the certificate of %s: %w", who, err)
	}
	return r.Install(dir, certificate, nil)
}

// Accept installs what an authority answered to a request whose key waits in a directory: the
// certificate, and behind it the authority's own.
func Accept(dir string, who Identity, answer []byte) error {
	r, err := LoadRequest(dir, who)
	if err != nil {
		return err
	}
	all, err := decodeCertificates(answer)
	if err != nil {
		return fmt.Errorf("certificate of %s: %w", who, err)
	}
	var authority []byte
	for _, c := range all[1:] {
		authority = append(authority, encodeCertificate(c.Raw)...)
	}
	return r.Install(dir, encodeCertificate(all[0].Raw), authority)
}
