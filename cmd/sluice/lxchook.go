package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	agentapi "sluice/hostagent/api"
	"sluice/hostagent/lxc"
)

// lxcHookFlags are the command line of sluice lxc-hook.
type lxcHookFlags struct {
	at       lxc.Interface
	patience time.Duration
	socket   *string
	// keepResolvConf leaves the container's own /etc/resolv.conf as it is.
	keepResolvConf bool
}

func lxcHookCommand() *cobra.Command {
	var o lxcHookFlags
	cmd := &cobra.Command{
		Use:   "lxc-hook --tenant TENANT",
		Short: "Attach and detach a container of LXC, as its hook",
		Long: `Attach a container of LXC to a tenant's network before its init runs, and detach it when it has stopped. LXC
runs this as a hook: two lines of a container's configuration say so.

  lxc.include = /usr/share/lxc/config/sluice.conf
  lxc.hook.start-host = /usr/share/lxc/hooks/sluice --tenant alice

A start that fails is stopped, and the container's log says why. The port has the container's name.`,
		Example: `  sluice lxc-hook --tenant alice
  sluice lxc-hook --tenant alice --network db --ifname eth1 --ip 10.0.1.20`,
		Args: cobra.ArbitraryArgs, // LXC's, where lxc.hook.version is 0
	}
	f := cmd.Flags()
	f.StringVar(&o.at.Tenant, "tenant", "", "`NAME` of the tenant")
	f.StringVar(&o.at.Network, "network", agentapi.DefaultNetwork, "`NAME` of the tenant's network")
	f.StringVar(&o.at.Name, "name", "", "`NAME` of the port (default the container's)")
	f.StringVar(&o.at.IfName, "ifname", "eth0", "`NAME` of the interface inside the container")
	f.StringSliceVar(&o.at.Addresses, "ip", nil, "`ADDRESS`; may be repeated, one for each subnet (default that of the last start, else chosen from the network's subnets)")
	f.StringVar(&o.at.MAC, "mac", "", "`MAC` address (default that of the last start, else derived)")
	f.BoolVar(&o.at.Sticky, "sticky", false, "keep addresses and MAC for the container while it is stopped")
	f.BoolVar(&o.keepResolvConf, "keep-resolv-conf", false, "leave the container's /etc/resolv.conf as it is (default: it names the network's resolver)")
	f.DurationVar(&o.patience, "patience", agentapi.AttachPatience, "`TIME` that a start waits for an agent that is away or not ready")
	o.socket = socketFlag(cmd)
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		c, _ := lxc.Called(nil, os.Getenv) // as far as the environment tells it
		return tellLXC(cmd, c, usageError{fmt.Errorf("the hook's line in the container's configuration: %w", err)})
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := lxc.Called(args, os.Getenv)
		if err != nil {
			return tellLXC(cmd, c, err)
		}
		return tellLXC(cmd, c, o.run(cmd, c))
	}
	return cmd
}

// run does what a hook is for.
func (o *lxcHookFlags) run(cmd *cobra.Command, c lxc.Call) error {
	ctx := cmd.Context()
	agent := agentapi.Dial(*o.socket)
	defer agent.Close()
	if c.Hook == lxc.PostStop {
		return lxc.Stop(ctx, agent, c, min(o.patience, agentapi.DetachPatience))
	}
	a, err := lxc.Start(ctx, agent, c, o.at, o.patience)
	if err != nil {
		return err
	}
	warnings := a.Warnings
	if !o.keepResolvConf {
		if err := c.WriteResolvConf(a.DNS); err != nil { // a container without names is worth its start
			warnings = append(warnings, err.Error())
		}
	}
	warnLXC(cmd.OutOrStdout(), c, warnings)
	fmt.Fprintf(cmd.OutOrStdout(), "port %s/%s/%s attached: %s, MAC %s\n", a.Tenant, a.Network, a.Name, strings.Join(a.Addresses, ", "), a.MAC)
	return nil
}

// warnLXC says warnings where tellLXC says errors.
func warnLXC(out io.Writer, c lxc.Call, warnings []string) {
	for _, warning := range warnings {
		fmt.Fprintln(out, "warning:", warning)
		if err := c.Log(lxc.Warning, warning, time.Now()); err != nil {
			fmt.Fprintln(out, "sluice:", err)
		}
	}
}

// tellLXC says an error where LXC's users look: on standard output, which LXC logs, and in the log
// itself. It returns the error, for those who start the container in the foreground.
func tellLXC(cmd *cobra.Command, c lxc.Call, err error) error {
	if err == nil {
		return nil
	}
	fmt.Fprintln(cmd.OutOrStdout(), "sluice:", err)
	if failed := c.Log(lxc.Error, err.Error(), time.Now()); failed != nil {
		fmt.Fprintln(cmd.OutOrStdout(), "sluice:", failed)
	}
	return err
}
