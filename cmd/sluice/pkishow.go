package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice/pki"
)

// certificate is one of a directory, as pki show tells it.
type certificate struct {
	Identity string    `json:"identity"`
	State    string    `json:"state"` // good, due, expired, or what is wrong
	Until    time.Time `json:"until,omitzero"`
	Renew    time.Time `json:"renew,omitzero"`
	Names    []string  `json:"names"`
	File     string    `json:"file"`
}

func pkiShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show",
		Aliases: []string{"list", "ls"},
		Short:   "Show the certificates of this machine",
		Long: `Show the certificates of this machine. State is good; due, which is to be renewed; expired; or what is wrong
with it.`,
		Example: "  sluice pki show\n  sluice pki show -o json",
		Args:    cobra.NoArgs,
	}
	dir, out := pkiDir(cmd), outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		list, err := certificatesIn(*dir, time.Now())
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), list, func(w io.Writer) {
			g := columns("identity", "state", "until", "renew", "names", "file")
			for _, c := range list {
				g.row(c.Identity, c.State, day(c.Until), day(c.Renew), strings.Join(c.Names, ", "), c.File)
			}
			g.write(w)
		})
	}
	return cmd
}

// certificatesIn begins with the authority's.
func certificatesIn(dir string, now time.Time) ([]certificate, error) {
	authorities, err := pki.ReadAuthority(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: make an authority with sluice pki init, or accept a certificate of another machine's", err)
	}
	if err != nil {
		return nil, err
	}
	list := []certificate{}
	for _, c := range authorities {
		list = append(list, describeCertificate(c.Subject.CommonName, filepath.Join(dir, pki.AuthorityFile), c, now))
	}
	identities, err := pki.List(dir)
	if err != nil {
		return nil, err
	}
	for _, who := range identities {
		path := filepath.Join(dir, who.File())
		c, err := pki.Read(dir, who)
		if err != nil {
			list = append(list, certificate{Identity: who.String(), State: err.Error(), Names: []string{}, File: path})
			continue
		}
		list = append(list, describeCertificate(who.String(), path, c, now))
	}
	return list, nil
}

// describeCertificate says how a certificate stands at a time.
func describeCertificate(identity, file string, c *x509.Certificate, now time.Time) certificate {
	state := "good"
	switch renew := pki.RenewAt(c); {
	case now.After(c.NotAfter):
		state = "expired"
	case now.After(renew):
		state = "due"
	}
	return certificate{
		Identity: identity, State: state, Until: c.NotAfter, Renew: pki.RenewAt(c),
		Names: append([]string{}, pki.NamesOf(c)...), File: file,
	}
}
