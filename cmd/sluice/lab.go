package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sluice/integration/demo"
	"sluice/integration/lab"
)

func labCommand() *cobra.Command {
	return group("lab", "Run a whole cluster on this machine, from real parts",
		"  sluice lab up --hosts 3\n  sluice lab run h1 alice a1\n  sluice lab exec a1 -- ping -c 3 10.0.0.3\n  sluice lab down",
		labUp(), labDown(), labStatus(), labRun(), labExec(), labRemove(), labKill(), labPause(), labResume(), labCut(), labHeal(), labChaos(), labDemo(), labForward(), labServeInternet())
}

func labUp() *cobra.Command {
	var o lab.Options
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start the lab, or what is missing of it",
		Long: `Start a cluster on this machine: hosts are network namespaces with an Open vSwitch of their own,
beside a controller with its etcd and a fake internet. A lab that runs is completed.

With --controllers each controller has a machine of its own (c1, c2, ...); with --etcd a cluster of
the machine's etcd program runs beside them (e1, e2, ...), which an operator's cluster is like.`,
		Example: "  sluice lab up\n  sluice lab up --hosts 5 --encap geneve\n  sluice lab up --controllers 2 --etcd 3\n  sluice lab up --trunk",
		Args:    cobra.NoArgs,
	}
	cmd.Flags().IntVar(&o.Hosts, "hosts", 0, "`NUMBER` of hosts (default 3, or as many as the lab has)")
	cmd.Flags().IntVar(&o.Controllers, "controllers", 0, "`NUMBER` of controllers (default 1)")
	cmd.Flags().IntVar(&o.EtcdMembers, "etcd", 0, "`NUMBER` of members of etcd (default none: the first controller runs etcd)")
	cmd.Flags().StringVar(&o.Encap, "encap", "", "how frames travel between hosts: `vxlan|geneve|gre` (default vxlan)")
	cmd.Flags().BoolVar(&o.Adopt, "adopt", false, "have controllers and agents serve the store that etcd holds now, though they remember another")
	cmd.Flags().BoolVar(&o.Trunk, "trunk", false, "give each host a trunk: a second interface, on a switch that carries VLANs")
	cmd.Flags().StringVar(&o.Topology, "topology", "", "`mesh`: frames travel from host to host (the default)")
	completeWords(cmd, "encap", "vxlan", "geneve", "gre")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o.Out = cmd.OutOrStdout()
		if err := lab.Up(cmd.Context(), o); err != nil {
			return err
		}
		st, err := lab.Load(cmd.Context())
		if err == nil {
			fmt.Fprintf(cmd.OutOrStdout(), "\n%s", st.HowTo())
		}
		return err
	}
	return cmd
}

func labDown() *cobra.Command {
	return &cobra.Command{
		Use:     "down",
		Short:   "Remove the lab and everything in it",
		Example: "  sluice lab down",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return lab.Down(cmd.Context())
		},
	}
}

func labStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Show the lab: its addresses, hosts, containers and processes",
		Example: "  sluice lab status\n  sluice lab status -o json",
		Args:    cobra.NoArgs,
	}
	out := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		st, err := lab.Load(cmd.Context())
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), st, func(w io.Writer) { writeLab(w, st) })
	}
	return cmd
}

func writeLab(w io.Writer, st lab.Status) {
	facts(w, "API", st.API, "Token in", st.TokenFile, "etcd", st.Etcd, "Tunnels", st.Encap,
		"Internet", fmt.Sprintf("%s in %s", st.Internet.IP, st.Internet.NetNS))
	fmt.Fprintln(w)
	hosts := columns("host", "namespace", "vtep", "OVS_RUNDIR")
	for _, h := range st.Hosts {
		hosts.row(h.Name, h.NetNS, h.VTEP.String(), h.RunDir)
	}
	hosts.write(w)
	if len(st.Containers) > 0 {
		fmt.Fprintln(w)
		g := columns("container", "host", "network", "addresses", "mac", "namespace")
		for _, c := range st.Containers {
			g.row(c.Name, c.Host, c.Tenant+"/"+c.Network, joined(c.IPs), c.MAC, c.NetNS)
		}
		g.write(w)
	}
}

// checkAddress refuses what is neither an address nor nothing.
func checkAddress(text string) error {
	if _, err := netip.ParseAddr(text); text != "" && err != nil {
		return usagef("--ip %q: write it as 10.0.0.5", text)
	}
	return nil
}

func labRun() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "run HOST TENANT[/NETWORK] NAME",
		Short:             "Start a container on a host, attached to a network",
		Example:           "  sluice lab run h1 alice a1\n  sluice lab run h2 alice/db a2 --ip 10.0.1.20\n  sluice lab run h1 alice a3 --runtime docker",
		Args:              named("HOST", "TENANT[/NETWORK]", "NAME"),
		ValidArgsFunction: completeLab(hostsOfLab),
	}
	ip := cmd.Flags().String("ip", "", "`ADDRESS` (default chosen from the network's subnets)")
	var r lab.Request
	cmd.Flags().StringVar(&r.Runtime, "runtime", lab.RuntimeNetNS, "what starts it: `"+strings.Join(lab.Runtimes(), "|")+"`")
	completeWords(cmd, "runtime", lab.Runtimes()...)
	out := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !slices.Contains(lab.Runtimes(), r.Runtime) {
			return usagef("--runtime %q: it is %s", r.Runtime, strings.Join(lab.Runtimes(), " or "))
		}
		if err := checkAddress(*ip); err != nil {
			return err
		}
		tenant, network, _ := strings.Cut(args[1], "/")
		r.Host, r.Tenant, r.Network, r.Name, r.Address = args[0], tenant, network, args[2], *ip
		c, err := lab.Run(cmd.Context(), r)
		if err != nil {
			return err
		}
		for _, warning := range c.Warnings {
			fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s\n", warning)
		}
		return out.print(cmd.OutOrStdout(), c, func(w io.Writer) {
			fmt.Fprintf(w, "container %s runs on %s in %s/%s: %s, %s\n", c.Name, c.Host, c.Tenant, c.Network, joined(c.IPs), c.MAC)
		})
	}
	return cmd
}

func labExec() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "exec NAME [--] COMMAND [ARGUMENT]...",
		Short: "Run a command in a container",
		Long:  "Run a command in a container, with this terminal. The exit status is the command's own.",
		Example: `  sluice lab exec a1 -- ping -c 3 10.0.0.3
  sluice lab exec a1 -- ip address`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 || len(command(args)) == 0 {
				return errors.New("name a container and, after --, a command")
			}
			return nil
		},
		ValidArgsFunction: completeLab(containersOfLab),
		RunE: func(cmd *cobra.Command, args []string) error {
			code, err := lab.Exec(cmd.Context(), args[0], command(args))
			if err == nil && code != 0 {
				return quietExit(code)
			}
			return err
		},
	}
	cmd.Flags().SetInterspersed(false) // what follows NAME are the command's own flags
	return cmd
}

// command is what follows the container's name.
func command(args []string) []string {
	if len(args) > 1 && args[1] == "--" {
		return args[2:]
	}
	return args[1:]
}

func labRemove() *cobra.Command {
	return &cobra.Command{
		Use:               "rm NAME",
		Short:             "Detach a container and remove it",
		Example:           "  sluice lab rm a1",
		Args:              named("NAME"),
		ValidArgsFunction: completeLab(containersOfLab),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := lab.Remove(cmd.Context(), args[0]); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "container %s removed\n", args[0])
			return nil
		},
	}
}

// labDemo is what make demo runs.
func labDemo() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Show what Sluice does, on a lab of its own",
		Long: `Show what Sluice does: start a lab, create two tenants with the same addresses, try what they
reach and what they do not, read flows and counters, and remove the lab. The exit status is 0
only if every step held.`,
		Example: "  sluice lab demo",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			binary, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this program: %w", err)
			}
			return demo.Run(cmd.Context(), demo.Options{Binary: binary, Out: cmd.OutOrStdout()})
		},
	}
}

// labForward and labServeInternet are processes that the lab itself starts.
func labForward() *cobra.Command {
	return &cobra.Command{
		Use:     "forward PROCESS@ADDRESS[,PROCESS@ADDRESS]...",
		Hidden:  true,
		Short:   "Carry connections from inherited listeners into the lab",
		Example: "  sluice lab forward controller-c1@127.0.0.1:8080,controller-c2@127.0.0.1:8080",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return lab.Forward(cmd.Context(), args)
		},
	}
}

func labServeInternet() *cobra.Command {
	return &cobra.Command{
		Use:     "serve-internet ADDRESS",
		Hidden:  true,
		Short:   "Answer callers with the address that they are seen to have",
		Example: "  sluice lab serve-internet 203.0.113.1",
		Args:    named("ADDRESS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			address, err := netip.ParseAddr(args[0])
			if err != nil {
				return usagef("address %q: write it as 203.0.113.1", args[0])
			}
			return lab.ServeInternet(cmd.Context(), address)
		},
	}
}

// completeLab offers names of the running lab for the first argument.
func completeLab(names func(lab.Status) []string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		st, err := lab.Load(context.WithoutCancel(cmd.Context()))
		if err != nil || len(args) > 0 {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return matching(names(st), typed), cobra.ShellCompDirectiveNoFileComp
	}
}

func hostsOfLab(st lab.Status) []string {
	return namesOf(st.Hosts, func(h lab.Host) string { return h.Name })
}

func containersOfLab(st lab.Status) []string {
	return namesOf(st.Containers, func(c lab.Container) string { return c.Name })
}
