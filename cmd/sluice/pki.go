package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"sluice/pki"
)

func pkiCommand() *cobra.Command {
	c := group("pki", "Certificates: who is a host, a controller, a person",
		`  sluice pki init
  sluice pki issue controller c1 --names 192.0.2.1
  sluice pki show`,
		pkiInit(), pkiIssue(), pkiRequest(), pkiSign(), pkiAccept(), pkiRenew(), pkiShow(), pkiEtcd())
	c.Long = `Certificates by which the parts of a cluster know each other. One authority signs them; it is two files,
ca.crt for everybody and ca.key, which stays. Roles are host, controller, etcd (a member of a cluster of
etcd) and person. Certificates of hosts and people are for clients only: one that is stolen cannot
pose as a controller.

A key is made on the machine that uses it and never leaves it. On the authority's own machine issue
does all. Elsewhere request makes a key, sign answers it where the authority is, accept installs the
answer; or join with a token, which is one command.

A certificate lives 90 days and is renewed after 60 by the part that uses it. Programs look at the
files at each new connection: nothing has to be restarted, and connections go on.`
	return c
}

// pkiDir gives a command --pki.
func pkiDir(cmd *cobra.Command) *string {
	return cmd.Flags().String("pki", defaultPKI, "`DIRECTORY` of this machine's certificates")
}

// identityArgs are ROLE NAME.
func identityArgs(args []string) (pki.Identity, error) {
	who := pki.Identity{Role: pki.Role(args[0]), Name: args[1]}
	if err := who.Validate(); err != nil {
		return who, usageError{err}
	}
	return who, nil
}

func completeRoles(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var roles []string
	for _, r := range pki.Roles() {
		roles = append(roles, string(r))
	}
	return roles, cobra.ShellCompDirectiveNoFileComp
}

func pkiInit() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make a cluster's authority on this machine",
		Long: `Make a cluster's authority on this machine, once. Whoever reads ca.key can be anybody in the cluster: keep a
copy where you keep such things. ca.crt is for everybody. The authority lives ten years.`,
		Example: "  sluice pki init",
		Args:    cobra.NoArgs,
	}
	dir := pkiDir(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		a, err := pki.CreateAuthority(*dir)
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%w: it is made once; sluice pki show says until when it lives", err)
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "authority %s until %s in %s\n", a.Certificate().Subject.CommonName, day(a.Certificate().NotAfter), *dir)
		return nil
	}
	return cmd
}

// issueFlags are what a certificate says beside its identity.
type issueFlags struct {
	names []string
	days  int
}

func (o *issueFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&o.names, "names", nil, "`ADDRESS`es and DNS names under which a controller or etcd is reached, with commas, for curl and etcdctl")
	cmd.Flags().IntVar(&o.days, "days", int(pki.Lifetime/(24*time.Hour)), "how many `DAYS` it lives")
	cmd.ValidArgsFunction = completeRoles
}

func (o *issueFlags) lifetime() (time.Duration, error) {
	if o.days < 1 {
		return 0, usagef("--days %d: give 1 or more", o.days)
	}
	return time.Duration(o.days) * 24 * time.Hour, nil
}

func pkiIssue() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "issue ROLE NAME",
		Short: "Make a key and its certificate for this machine",
		Long: `Make a key and its certificate, on the authority's machine and for this machine. It stands in one file,
ROLE-NAME.pem. For another machine use sluice pki request there: no key travels.`,
		Example: `  sluice pki issue controller c1 --names 192.0.2.1,c1.example
  sluice pki issue host h1
  sluice pki issue person alice`,
		Args: named("ROLE", "NAME"),
	}
	dir := pkiDir(cmd)
	var o issueFlags
	o.register(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		who, err := identityArgs(args)
		if err != nil {
			return err
		}
		life, err := o.lifetime()
		if err != nil {
			return err
		}
		a, err := authorityOf(*dir)
		if err != nil {
			return err
		}
		if err := a.Issue(*dir, who, o.names, life); err != nil {
			return err
		}
		return tellCertificate(cmd.OutOrStdout(), *dir, who)
	}
	return cmd
}

// authorityOf says what to do where there is none.
func authorityOf(dir string) (*pki.Authority, error) {
	a, err := pki.OpenAuthority(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: run this where the authority is, or sluice pki init if the cluster has none yet", err)
	}
	return a, err
}

func tellCertificate(w io.Writer, dir string, who pki.Identity) error {
	c, err := pki.Read(dir, who)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s until %s in %s\n", who, day(c.NotAfter), filepath.Join(dir, who.File()))
	return nil
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func pkiRequest() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "request ROLE NAME",
		Short: "Make a key here and ask for its certificate",
		Long: `Make a key on this machine and write, to standard output or a file, what asks the authority for its certificate. The key
waits in the directory until sluice pki accept.`,
		Example:           "  sluice pki request host h1 --out h1.csr",
		Args:              named("ROLE", "NAME"),
		ValidArgsFunction: completeRoles,
	}
	dir, out := pkiDir(cmd), outFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		who, err := identityArgs(args)
		if err != nil {
			return err
		}
		r, err := pki.NewRequest(who)
		if err != nil {
			return err
		}
		if err := r.Keep(*dir); err != nil {
			return err
		}
		return writeOutput(cmd, *out, r.PEM)
	}
	return cmd
}

func pkiSign() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sign ROLE NAME FILE",
		Short: "Sign another machine's request, where the authority is",
		Long: `Sign a request (FILE, or - for standard input) that another machine made, and write the certificate, with
the authority's behind it, to standard output or a file. The certificate speaks for the ROLE and NAME given here,
whatever the request says: be sure who sent it.`,
		Example: "  sluice pki sign host h1 h1.csr --out h1.crt",
		Args:    named("ROLE", "NAME", "FILE"),
	}
	dir, out := pkiDir(cmd), outFlag(cmd)
	var o issueFlags
	o.register(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		who, err := identityArgs(args)
		if err != nil {
			return err
		}
		life, err := o.lifetime()
		if err != nil {
			return err
		}
		request, err := readInput(cmd, args[2])
		if err != nil {
			return err
		}
		a, err := authorityOf(*dir)
		if err != nil {
			return err
		}
		certificate, err := a.Sign(request, who, o.names, life)
		if err != nil {
			return err
		}
		return writeOutput(cmd, *out, append(certificate, a.PEM()...))
	}
	return cmd
}

// outFlag is where a command writes what travels.
func outFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("out", "-", "`FILE` to write to; -: standard output")
}

func writeOutput(cmd *cobra.Command, path string, text []byte) error {
	if path == "-" {
		_, err := cmd.OutOrStdout().Write(text)
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

// readInput reads a file, or standard input where it is named -.
func readInput(cmd *cobra.Command, path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(cmd.InOrStdin())
	}
	return os.ReadFile(path)
}

func pkiAccept() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "accept ROLE NAME FILE",
		Short: "Install the certificate that answers this machine's request",
		Long: `Install the certificate (FILE, or - for standard input) that sluice pki sign made for a request of this machine,
and the authority's certificate behind it. From then on this machine believes that authority: be sure
who sent it.`,
		Example:           "  sluice pki accept host h1 h1.crt",
		Args:              named("ROLE", "NAME", "FILE"),
		ValidArgsFunction: completeRoles,
	}
	dir := pkiDir(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		who, err := identityArgs(args)
		if err != nil {
			return err
		}
		answer, err := readInput(cmd, args[2])
		if err != nil {
			return err
		}
		err = pki.Accept(*dir, who, answer)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: it was not requested here: see sluice pki request", err)
		}
		if err != nil {
			return err
		}
		return tellCertificate(cmd.OutOrStdout(), *dir, who)
	}
	return cmd
}

func pkiRenew() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "renew [ROLE NAME]",
		Short: "Renew this machine's certificates, where the authority is",
		Long: `Renew a certificate of this machine, or all of them, with new keys. What uses them goes on without a restart.
It needs the authority's key: agents and controllers elsewhere renew theirs by themselves.`,
		Example:           "  sluice pki renew\n  sluice pki renew controller c1",
		ValidArgsFunction: completeRoles,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return named("ROLE", "NAME")(cmd, args)
		},
	}
	dir := pkiDir(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		list, err := pki.List(*dir)
		if err != nil {
			return err
		}
		if len(args) > 0 {
			who, err := identityArgs(args)
			if err != nil {
				return err
			}
			list = []pki.Identity{who}
		}
		return renewAll(cmd, *dir, list)
	}
	return cmd
}

func renewAll(cmd *cobra.Command, dir string, list []pki.Identity) error {
	a, err := authorityOf(dir)
	if err != nil {
		return err
	}
	for _, who := range list {
		c, err := pki.Read(dir, who)
		if err != nil {
			return err
		}
		if err := pki.Renew(cmd.Context(), dir, who, a.RenewalOf(c)); err != nil {
			return err
		}
		if err := tellCertificate(cmd.OutOrStdout(), dir, who); err != nil {
			return err
		}
	}
	return nil
}
