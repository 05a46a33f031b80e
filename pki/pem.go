package pki

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// Modes of files.
const (
	secret os.FileMode = 0o600 // holds a key: its owner's alone
	public os.FileMode = 0o644
)

// The kinds of blocks in PEM files.
const (
	certificateBlock = "CERTIFICATE"
	keyBlock         = "PRIVATE KEY"
	requestBlock     = "CERTIFICATE REQUEST"
)

func encodeCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: der})
}

func encodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der}), nil
}

// blocks are the bytes of all blocks of one kind in a PEM text.
func blocks(text []byte, kind string) (all [][]byte) {
	for {
		var b *pem.Block
		if b, text = pem.Decode(text); b == nil {
			return all
		}
		if b.Type == kind {
			all = append(all, b.Bytes)
		}
	}
}

func decodeKey(text []byte) (crypto.Signer, error) {
	found := blocks(text, keyBlock)
	if len(found) != 1 {
		return nil, fmt.Errorf("want one %q in it, found %d", keyBlock, len(found))
	}
	key, err := x509.ParsePKCS8PrivateKey(found[0])
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of type %T cannot sign", key)
	}
	return signer, nil
}

func decodeCertificates(text []byte) (all []*x509.Certificate, err error) {
	for _, der := range blocks(text, certificateBlock) {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, errors.New("no certificate in it")
	}
	return all, nil
}

func readCertificates(path string) ([]*x509.Certificate, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	all, err := decodeCertificates(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return all, nil
}

// decodeRequest checks that whoever made a request has its key.
func decodeRequest(text []byte) (*x509.CertificateRequest, error) {
	found := blocks(text, requestBlock)
	if len(found) != 1 {
		return nil, fmt.Errorf("want one %q in the request, found %d", requestBlock, len(found))
	}
	csr, err := x509.ParseCertificateRequest(found[0])
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, fmt.Errorf("request: not signed with its own key: %w", err)
	}
	return csr, strong(csr.PublicKey)
}

// writeFile replaces a file as a whole, and makes its directory, which is closed to others than
// the owner since keys stand in it.
func writeFile(path string, text []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return renameio.WriteFile(path, text, mode, renameio.IgnoreUmask())
}
