package main

import (
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"

	"github.com/spf13/cobra"

	"sluice/hostagent"
	"sluice/hostagent/entry"
)

// entryFlags say how a host takes requests for what tenants publish by routes.
type entryFlags struct {
	certificates      string
	login             string
	identity, cookies []string
}

// relayPort is where gateway hosts relay where nobody says otherwise.
const relayPort = 6656

func (f *entryFlags) register(cmd *cobra.Command, o *hostagent.Entry) {
	flags := cmd.Flags()
	flags.StringVar(&o.Listen, "entry", "", "`ADDRESS:PORT` where browsers reach what tenants publish by a host name (default: this host takes no such requests)")
	flags.StringVar(&f.certificates, "entry-certificates", "", "`DIRECTORY` with NAME.crt and NAME.key of the names: the entry speaks TLS, and reads again what changes there")
	flags.StringVar(&f.login, "auth-url", "", "`URL` that the entry asks first whether a request may pass, as nginx's auth_request does (default: all may)")
	flags.StringSliceVar(&f.identity, "auth-headers", entry.DefaultIdentity, "`HEADER`s of its answer by which containers are told who asks; clients cannot set them")
	flags.StringSliceVar(&f.cookies, "auth-cookies", nil, "`NAME`s of its cookies, which containers do not see")
	flags.Uint16Var(&o.RelayPort, "relay-port", relayPort, "`PORT` of the tunnel address where a gateway host takes what the entries of other hosts carry to its tenants; 0: it takes none")
}

func (f *entryFlags) parse(o *hostagent.Entry) error {
	if o.Listen != "" {
		if _, err := netip.ParseAddrPort(o.Listen); err != nil {
			return usagef("--entry %q: write it as 192.0.2.21:80 or 0.0.0.0:80", o.Listen)
		}
	}
	if f.login == "" {
		return nil
	}
	at, err := url.Parse(f.login)
	if err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" {
		return usagef("--auth-url %q: write it as http://127.0.0.1:4180/oauth2/auth", f.login)
	}
	o.Login = entry.NewLogin(at, f.identity, f.cookies)
	return nil
}

// open reads the certificates.
func (f *entryFlags) open(o *hostagent.Entry, log *slog.Logger) (err error) {
	if f.certificates == "" {
		return nil
	}
	if o.Certificates, err = entry.OpenCertificates(f.certificates, log); err != nil {
		return fmt.Errorf("--entry-certificates: %w", err)
	}
	return nil
}
