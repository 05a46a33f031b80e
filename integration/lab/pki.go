package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"sluice/pki"
)

// authorityDir has the lab's authority, and below it a directory for each machine's certificate: in
// a cluster of yours each is on that machine alone.
func authorityDir() string { return filepath.Join(Dir, "pki") }

func pkiDir(machine string) string { return filepath.Join(authorityDir(), machine) }

// ensureAuthority makes the lab's authority, and the certificates of its controllers.
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
	return nil
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
