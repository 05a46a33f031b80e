package main

import (
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"sluice/store/etcd"
)

// etcdFlags say how to reach etcd.
type etcdFlags struct {
	endpoints                 []string
	caFile, certFile, keyFile string
	user                      string
	passwordFile              string
}

func (o *etcdFlags) register(cmd *cobra.Command, endpointsHelp string) {
	f := cmd.Flags()
	f.StringSliceVar(&o.endpoints, "etcd-endpoints", nil, endpointsHelp)
	f.StringVar(&o.caFile, "etcd-ca", "", "`FILE` with the certificate authority of etcd's certificates")
	f.StringVar(&o.certFile, "etcd-cert", "", "`FILE` with the certificate to show to etcd")
	f.StringVar(&o.keyFile, "etcd-key", "", "`FILE` with that certificate's key")
	f.StringVar(&o.user, "etcd-user", "", "`NAME` of the user in etcd")
	f.StringVar(&o.passwordFile, "etcd-password-file", "", "`FILE` with its password")
	cmd.MarkFlagsRequiredTogether("etcd-cert", "etcd-key")
}

func (o *etcdFlags) options(log *slog.Logger) (etcd.Options, error) {
	var password string
	if o.passwordFile != "" {
		b, err := os.ReadFile(o.passwordFile)
		if err != nil {
			return etcd.Options{}, fmt.Errorf("etcd password: %w", err)
		}
		password = strings.TrimRight(string(b), "\r\n")
	}
	return etcd.Options{
		Endpoints: o.endpoints, CAFile: o.caFile, CertFile: o.certFile, KeyFile: o.keyFile,
		User: o.user, Password: password, Log: log, Version: version(),
	}, nil
}
