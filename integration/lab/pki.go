package lab

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/cenkalti/backoff/v5"

	"sluice/controller/client"
	"sluice/pki"
)

// pkiDir has a machine's certificate: in a cluster of yours it is on that machine alone.
func pkiDir(machine string) string { return filepath.Join(Dir, "pki", machine) }

// authorityDir is the first controller's, which has the authority too.
func authorityDir() string { return pkiDir(controllerMachine(1).name) }

// etcdIdentity is a member's of a cluster of etcd.
func etcdIdentity(m machine) pki.Identity { return pki.Identity{Role: pki.RoleEtcd, Name: m.name} }

// ensureAuthority makes the lab's authority, and the certificates of the control plane.
func (s *state) ensureAuthority() error {
	_, err := pki.OpenAuthority(authorityDir())
	if errors.Is(err, fs.ErrNotExist) {
		_, err = pki.CreateAuthority(authorityDir())
	}
	if err != nil {
		return err
	}
	for _, m := range s.controllers() {
		if err := ensureCertificate(m.name, pki.Controller(m.name), m.address.String()); err != nil {
			return err
		}
	}
	for _, m := range s.etcdMembers() {
		if err := ensureCertificate(m.name, etcdIdentity(m), m.address.String()); err != nil {
			return err
		}
	}
	return nil
}

// Certify gives a host that the lab does not run a certificate of the lab's authority, so that the
// controllers take a switch for its own.
func Certify(host string) (*pki.Source, error) {
	who := pki.Host(host)
	if err := ensureCertificate(host, who); err != nil {
		return nil, err
	}
	return pki.Open(pkiDir(host), who, slog.New(slog.DiscardHandler))
}

// enrolFor is how long the lab asks for a host's enrolment while etcd or the controllers are away.
const enrolFor = 30 * time.Second

// ensureEnrolled has a host's certificate believed: etcd lets nobody else in. Members of etcd and controllers
// may be broken meanwhile: it asks again where the answer says that they are away.
func (s *state) ensureEnrolled(ctx context.Context, host string) error {
	c, err := client.Dial("http://"+s.API, client.WithTokenFile(tokenFile()))
	if err != nil {
		return err
	}
	_, err = backoff.Retry(ctx, func() (bool, error) {
		_, err := c.EnrolHost(ctx, host)
		var problem *client.Problem
		switch {
		case !errors.As(err, &problem): // it is, or nobody answered
			return true, err
		case problem.Status == http.StatusConflict: // it was before
			return true, nil
		case problem.Status == http.StatusServiceUnavailable:
			return false, err
		}
		return false, backoff.Permanent(err)
	}, backoff.WithMaxElapsedTime(enrolFor))
	return err
}

// overTLS speaks TLS over a connection as the first controller, whom etcd lets do everything.
func overTLS(ctx context.Context, plain net.Conn) (*tls.Conn, error) {
	s, err := pki.Open(authorityDir(), pki.Controller(controllerMachine(1).name), slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	config := s.Client()
	config.NextProtos = []string{"h2"} // all that is asked of etcd is gRPC
	conn := tls.Client(plain, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return conn, nil
}

// ensureCertificate makes a machine's certificate where it has none, or one that a part should have
// renewed by now.
func ensureCertificate(machine string, who pki.Identity, names ...string) error {
	c, err := pki.Read(pkiDir(machine), who)
	if err == nil && time.Now().Before(pki.RenewAt(c)) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("machine %s: %w", machine, err)
	}
	a, err := pki.OpenAuthority(authorityDir())
	if err == nil {
		err = a.Issue(pkiDir(machine), who, names, pki.Lifetime)
	}
	if err != nil {
		return fmt.Errorf("machine %s: %w", machine, err)
	}
	return nil
}
