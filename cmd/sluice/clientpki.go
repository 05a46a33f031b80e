package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"sluice/controller/client"
	"sluice/pki"
)

// pkiEnv names the directory of the certificates of who uses the command line.
const pkiEnv = "SLUICE_PKI"

// security is how a client of an https API knows it, and what it shows: the certificate of the one
// person of whom there is one. Without an authority's certificate the system's authorities count.
func security(url string) ([]client.Option, error) {
	dir := cmp.Or(os.Getenv(pkiEnv), defaultPKI)
	authority, err := os.ReadFile(filepath.Join(dir, pki.AuthorityFile))
	switch {
	case !strings.HasPrefix(url, "https://"), errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("certificate of the authority: %w", err)
	}
	people, err := personsIn(dir)
	if err != nil {
		return nil, err
	}
	if len(people) == 1 {
		s, err := pki.Open(dir, people[0], slog.New(slog.DiscardHandler))
		if err != nil {
			return nil, err
		}
		return []client.Option{client.WithTLS(s.Client())}, nil
	}
	config, err := pki.ClientOf(authority)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, pki.AuthorityFile), err)
	}
	return []client.Option{client.WithTLS(config)}, nil
}

// personsIn are the people whose certificates are in a directory.
func personsIn(dir string) (people []pki.Identity, err error) {
	all, err := pki.List(dir)
	for _, who := range all {
		if who.Role == pki.RolePerson {
			people = append(people, who)
		}
	}
	return people, err
}
