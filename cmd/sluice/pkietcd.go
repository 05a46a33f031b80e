package main

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"sluice/pki"
	"sluice/store/etcd"
)

func pkiEtcd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "etcd CONTROLLER...",
		Short: "Have an etcd of your own ask who somebody is",
		Long: `Have an etcd of your own ask who somebody is, once: after this the certificates of the named controllers may do
everything in it, those of hosts what their agents need, and nobody else anything. The etcd that a
controller brings along does so by itself.

Run it on the machine of the first of these controllers. etcd runs with --client-cert-auth and
--trusted-ca-file ca.crt, and has certificates of sluice pki issue etcd. It serves Sluice alone. To name one
controller more, run it again; etcdctl auth disable ends it.`,
		Example: "  sluice pki etcd c1 c2 --etcd-endpoints https://192.0.2.11:2379,https://192.0.2.12:2379",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("CONTROLLER is missing")
			}
			return nil
		},
	}
	dir := pkiDir(cmd)
	var reach etcdFlags
	reach.register(cmd, "`URL`s of etcd, with commas")
	must(cmd.MarkFlagRequired("etcd-endpoints"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o, err := reach.options(slog.New(slog.DiscardHandler))
		if err != nil {
			return err
		}
		if o.PKI, err = pki.Open(*dir, pki.Controller(args[0]), o.Log); err != nil {
			return err
		}
		c, err := etcd.Connect(cmd.Context(), o)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.Confine(cmd.Context(), args); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "etcd asks who somebody is, and knows controller %s\n", strings.Join(args, ", "))
		doubtful, err := c.Doubtful(cmd.Context())
		if len(doubtful) > 0 {
			fmt.Fprintf(cmd.ErrOrStderr(), "sluice: %s: "+mayGoAround+"\n", strings.Join(doubtful, ", "))
		}
		return err
	}
	return cmd
}

// mayGoAround is about an etcd that may not hold hosts to their roles.
const mayGoAround = "3.6.16 and later hold each host to its own keys; of an older one see in its release notes that it mends " +
	"GHSA-rfx7-8w68-q57q, GHSA-x35m-3gp4-4fh5, GHSA-q8m4-xhhv-38mg and GHSA-xg4h-6gfc-h4m8, else a host can go around that"
