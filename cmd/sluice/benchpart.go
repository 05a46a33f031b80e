package main

import (
	"github.com/spf13/cobra"

	"sluice/integration/bench"
	"sluice/store/etcd"
)

// benchPartCommand holds the processes that sluice bench starts beside itself. People have no
// use for them.
func benchPartCommand() *cobra.Command {
	cmd := group("bench-part", "Run a part of a benchmark",
		"  sluice bench-part switches --hosts 10 --tenants 20 --ports 100 --controller 127.0.0.1:6653", benchSwitches(), benchEtcd())
	cmd.Hidden = true
	return cmd
}

func benchSwitches() *cobra.Command {
	var size bench.FleetSize
	var controller string
	cmd := &cobra.Command{Use: "switches", Short: "Simulate the switches of a fleet", Hidden: true, Args: cobra.NoArgs,
		Example: "  sluice bench-part switches --hosts 10 --tenants 20 --ports 100 --controller 127.0.0.1:6653"}
	cmd.Flags().IntVar(&size.Hosts, "hosts", 1, "`NUMBER` of hosts")
	cmd.Flags().IntVar(&size.Tenants, "tenants", 1, "`NUMBER` of tenants")
	cmd.Flags().IntVar(&size.Ports, "ports", 1, "`NUMBER` of ports")
	cmd.Flags().StringVar(&controller, "controller", "127.0.0.1:6653", "`ADDRESS` to dial")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return bench.RunSwitches(cmd.Context(), size, controller, cmd.InOrStdin(), cmd.OutOrStdout())
	}
	return cmd
}

func benchEtcd() *cobra.Command {
	var o etcd.EmbedOptions
	cmd := &cobra.Command{Use: "etcd", Short: "Run an etcd", Hidden: true, Args: cobra.NoArgs,
		Example: "  sluice bench-part etcd --dir etcd --client-url http://127.0.0.1:2379 --peer-url http://127.0.0.1:2380"}
	cmd.Flags().StringVar(&o.Dir, "dir", "", "`DIRECTORY` of its data")
	cmd.Flags().StringVar(&o.ClientURL, "client-url", "", "`URL` to serve clients")
	cmd.Flags().StringVar(&o.PeerURL, "peer-url", "", "`URL` to serve members")
	var flags logFlags
	flags.register(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		log, err := flags.logger(cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		o.Log = log
		server, err := etcd.StartEmbedded(cmd.Context(), o)
		if err != nil {
			return err
		}
		defer server.Close()
		<-cmd.Context().Done()
		return nil
	}
	return cmd
}
