package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"sluice/pki"
)

// defaultPKI is where a machine keeps its certificates.
const defaultPKI = "/var/lib/sluice/pki"

// pkiFlags say with which certificate a part serves and dials.
type pkiFlags struct {
	dir      string
	given    bool // by name: then the certificate must be there
	insecure bool
}

func (o *pkiFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.dir, "pki", defaultPKI, "`DIRECTORY` of this machine's certificates, see sluice pki; empty: use none")
	f.BoolVar(&o.insecure, "insecure", false, "without certificates, speak in the clear with whoever is there: on other addresses than loopback everybody is believed")
	before := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		o.given = f.Changed("pki") && o.dir != ""
		if before != nil {
			return before(cmd, args)
		}
		return nil
	}
}

// open reads the certificate of an identity. It is nil where there is none and none was asked for.
func (o *pkiFlags) open(who pki.Identity, log *slog.Logger) (*pki.Source, error) {
	if o.dir == "" {
		return nil, nil
	}
	s, err := pki.Open(o.dir, who, log)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !o.given && !o.has(who):
		return nil, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("--pki %s: %w: make it with sluice pki issue %s %s, or sluice pki request on this machine and sluice pki sign where the authority is",
			o.dir, err, who.Role, who.Name)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("--pki %s: %w: give the file to the user who runs this, as chown does, and make it as that user next time", o.dir, err)
	case err != nil:
		return nil, fmt.Errorf("--pki %s: %w", o.dir, err)
	}
	return s, nil
}

// authority is the cluster's, where its key is on this machine; else nil.
func (o *pkiFlags) authority() (*pki.Authority, error) {
	if o.dir == "" {
		return nil, nil
	}
	a, err := pki.OpenAuthority(o.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return a, err
}

// has reports whether there is a certificate, of use or not: one that was made is never passed over.
func (o *pkiFlags) has(who pki.Identity) bool {
	found, err := filepath.Glob(filepath.Join(o.dir, who.File()))
	return err != nil || len(found) > 0
}

// clear refuses an address of a flag where it is reached from elsewhere and nobody would prove who
// he is.
func (o *pkiFlags) clear(s *pki.Source, who pki.Identity, flag, address string) error {
	if s != nil || o.insecure || isLoopback(address) {
		return nil
	}
	return usagef("%s %s: without certificates whoever is there would be believed: "+
		"make them with sluice pki init and sluice pki issue %s %s, stay on 127.0.0.1, or say --insecure", flag, address, who.Role, who.Name)
}

// isLoopback knows the host of HOST:PORT, of a URL and of an OpenFlow target.
func isLoopback(address string) bool {
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		address = u.Host
	}
	if kind, rest, found := strings.Cut(address, ":"); found && (kind == "tcp" || kind == "ssl") {
		address = rest
	}
	if strings.HasPrefix(address, "unix:") {
		return true
	}
	host := hostOf(address)
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
