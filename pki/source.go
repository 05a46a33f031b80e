package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
)

// Source is an identity's certificate with its key, and the authority's certificate, as they stand
// in a directory. It looks at the files whenever a connection is made: what was renewed is in use
// from then on, and connections that are there go on. Its methods may be called concurrently.
type Source struct {
	who      Identity
	file, ca string
	log      *slog.Logger

	mu          sync.Mutex
	read        [2]fs.FileInfo // of file and ca, when they were read last
	pair        *tls.Certificate
	authorities *x509.CertPool
	complaint   string // what was logged of files that are of no use; empty: nothing is wrong
}

// Open reads an identity's files in a directory. It fails where they are missing, do not belong
// together, or have expired.
func Open(dir string, who Identity, log *slog.Logger) (*Source, error) {
	if err := who.Validate(); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(dir) // Open vSwitch would look elsewhere
	if err != nil {
		return nil, fmt.Errorf("certificate of %s: %w", who, err)
	}
	s := &Source{who: who, file: filepath.Join(dir, who.File()), ca: filepath.Join(dir, AuthorityFile), log: log}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refresh(); err != nil {
		return nil, fmt.Errorf("certificate of %s: %w", who, err)
	}
	return s, nil
}

// Identity is whose it is.
func (s *Source) Identity() Identity { return s.who }

// File has the certificate and its key, for programs that read files: they take its path as both.
func (s *Source) File() string { return s.file }

// AuthorityFile has the authority's certificate, for the same.
func (s *Source) AuthorityFile() string { return s.ca }

// Certificate is the one in use.
func (s *Source) Certificate() *x509.Certificate {
	pair, _ := s.now()
	return pair.Leaf
}

// now is what the files hold, or, where they cannot be read, what they held before.
func (s *Source) now() (*tls.Certificate, *x509.CertPool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.refresh()
	switch {
	case err == nil:
		s.complaint = ""
	case err.Error() != s.complaint: // once for each thing that is wrong
		s.complaint = err.Error()
		s.log.Error("the changed certificate is of no use, going on with the one before", "identity", s.who, "err", err)
	}
	return s.pair, s.authorities
}

// refresh reads the files where they are others than before. It is called with the lock held.
func (s *Source) refresh() error {
	var found [2]fs.FileInfo
	for n, path := range []string{s.file, s.ca} {
		var err error
		if found[n], err = os.Stat(path); err != nil {
			return err
		}
	}
	if same(found[0], s.read[0]) && same(found[1], s.read[1]) {
		return nil
	}
	pair, authorities, err := load(s.who, s.file, s.ca)
	if err != nil {
		return err
	}
	if s.pair != nil {
		s.log.Info("certificate read again", "identity", s.who, "until", pair.Leaf.NotAfter)
	}
	s.read, s.pair, s.authorities = found, pair, authorities
	return nil
}

// same reports whether a file is the one that was read.
func same(now, then fs.FileInfo) bool {
	return then != nil && os.SameFile(now, then) && now.ModTime().Equal(then.ModTime()) && now.Size() == then.Size()
}

// load reads a pair, and refuses one that nobody would believe.
func load(who Identity, file, ca string) (*tls.Certificate, *x509.CertPool, error) {
	pair, err := tls.LoadX509KeyPair(file, file)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	of, err := Of(pair.Leaf)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	if of != who {
		return nil, nil, fmt.Errorf("%s: it is of %s", file, of)
	}
	all, err := readCertificates(ca)
	if err != nil {
		return nil, nil, err
	}
	pool := x509.NewCertPool()
	for _, c := range all {
		pool.AddCert(c)
	}
	if err := verify(pair.Leaf, pool, x509.ExtKeyUsageClientAuth); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	return &pair, pool, nil
}

func verify(c *x509.Certificate, authorities *x509.CertPool, usage x509.ExtKeyUsage) error {
	_, err := c.Verify(x509.VerifyOptions{Roots: authorities, KeyUsages: []x509.ExtKeyUsage{usage}})
	return err
}

// Server is a configuration for whoever serves as this identity. clients says whether who dials
// must have a certificate (tls.RequireAndVerifyClientCert) or may (tls.VerifyClientCertIfGiven).
// Of tells whose it is. The caller may add to the configuration before it is used.
func (s *Source) Server(clients tls.ClientAuthType) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS13, ClientAuth: clients, SessionTicketsDisabled: true}
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		pair, authorities := s.now()
		now := c.Clone()
		now.GetConfigForClient = nil
		now.Certificates, now.ClientCAs = []tls.Certificate{*pair}, authorities
		return now, nil
	}
	return c
}

// Client is a configuration for whoever dials as this identity. A server is believed when the
// authority says that it is a controller or a member of etcd; by which address or name it was
// reached does not matter, so that a forwarded port or a new address breaks nothing. Only these
// roles have certificates for servers.
func (s *Source) Client() *tls.Config {
	c := clientConfig(func() *x509.CertPool {
		_, authorities := s.now()
		return authorities
	})
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		pair, _ := s.now()
		return pair, nil
	}
	return c
}

// ClientOfHost is a configuration for whoever dials, as this identity, another host's agent, which serves hosts alone. Its
// certificate is none of a server, so that nothing else believes it as one.
func (s *Source) ClientOfHost(name string) *tls.Config {
	c := s.Client()
	c.VerifyConnection = func(state tls.ConnectionState) error {
		_, authorities := s.now()
		return believeHost(state.PeerCertificates, authorities, Host(name))
	}
	return c
}

// ClientOfController is a configuration for whoever dials, as this identity, one controller and no other.
func (s *Source) ClientOfController(name string) *tls.Config {
	c := s.Client()
	believe := c.VerifyConnection
	c.VerifyConnection = func(state tls.ConnectionState) error {
		if err := believe(state); err != nil {
			return err
		}
		who, err := Of(state.PeerCertificates[0])
		if err == nil && who != Controller(name) {
			err = fmt.Errorf("the certificate is of %s, not of %s", who, Controller(name))
		}
		return err
	}
	return c
}

func believeHost(chain []*x509.Certificate, authorities *x509.CertPool, wanted Identity) error {
	if len(chain) == 0 {
		return errors.New("the host has no certificate")
	}
	if err := verify(chain[0], authorities, x509.ExtKeyUsageClientAuth); err != nil {
		return err
	}
	who, err := Of(chain[0])
	if err == nil && who != wanted {
		err = fmt.Errorf("the certificate is of %s, not of %s", who, wanted)
	}
	return err
}

// ClientOf is a configuration for whoever has no certificate, such as one who has a token, and
// believes the authorities of a PEM text.
func ClientOf(authority []byte) (*tls.Config, error) {
	all, err := decodeCertificates(authority)
	if err != nil {
		return nil, fmt.Errorf("the authority's certificate: %w", err)
	}
	pool := x509.NewCertPool()
	for _, c := range all {
		pool.AddCert(c)
	}
	return clientConfig(func() *x509.CertPool { return pool }), nil
}

func clientConfig(authorities func() *x509.CertPool) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		// The library's own check needs a name and keeps one set of authorities for good. VerifyConnection
		// makes the same check against those of now, and asks for a role instead of a name.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			return believeServer(state.PeerCertificates, authorities())
		},
	}
}

func believeServer(chain []*x509.Certificate, authorities *x509.CertPool) error {
	if len(chain) == 0 {
		return errors.New("the server has no certificate")
	}
	if err := verify(chain[0], authorities, x509.ExtKeyUsageServerAuth); err != nil {
		return err
	}
	who, err := Of(chain[0])
	if err == nil && !who.Role.serves() {
		err = fmt.Errorf("the server's certificate is of %s, which serves nobody", who)
	}
	return err
}
