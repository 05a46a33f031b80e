package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"sluice/integration/lab"
)

const aboutTargets = `A target is a host (its agent and its switch), controller, etcd or agent (all of them), or one of
these by name: controller/c1, etcd/e1, agent/h2, switch/h2.`

func labKill() *cobra.Command {
	return labFault("kill", "Kill processes of the lab, as a crash would",
		"Kill processes of the lab with SIGKILL; sluice lab up starts them again.",
		"  sluice lab kill controller\n  sluice lab kill agent/h2\n  sluice lab kill switch/h1",
		"killed: sluice lab up starts it again", lab.Kill)
}

func labPause() *cobra.Command {
	return labFault("pause", "Pause processes of the lab: they are there and do nothing",
		"Pause processes of the lab with SIGSTOP; sluice lab resume lets them go on.",
		"  sluice lab pause controller/c1\n  sluice lab resume controller/c1",
		"paused: sluice lab resume lets it go on", lab.Pause)
}

func labResume() *cobra.Command {
	return labFault("resume", "Let paused processes of the lab go on",
		"Let processes go on that sluice lab pause stopped.",
		"  sluice lab resume controller/c1", "goes on", lab.Resume)
}

// labFault is a command that does something to the processes of a target.
func labFault(verb, short, long, example, done string, do func(context.Context, string) error) *cobra.Command {
	return &cobra.Command{
		Use:               verb + " " + lab.TargetWords,
		Short:             short,
		Long:              long + "\n\n" + aboutTargets,
		Example:           example,
		Args:              named("TARGET"),
		ValidArgsFunction: completeLab(lab.Status.Targets),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := do(cmd.Context(), args[0]); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", args[0], done)
			return nil
		},
	}
}

func labCut() *cobra.Command {
	return &cobra.Command{
		Use:   "cut A B",
		Short: "Part two machines of the lab: nothing passes between them",
		Long: `Part two machines of the lab until sluice lab heal: hosts (h1), controllers (c1) and members of
etcd (e1). What one sends to the other is dropped without a word, as behind a broken wire. Where
the first controller runs etcd, both are one machine.`,
		Example: "  sluice lab cut h1 c1\n  sluice lab cut c1 e2\n  sluice lab cut h1 h2",
		Args:    named("A", "B"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := lab.Cut(cmd.Context(), args[0], args[1]); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "nothing passes between %s and %s: sluice lab heal %s %s joins them again\n",
				args[0], args[1], args[0], args[1])
			return nil
		},
	}
}

func labHeal() *cobra.Command {
	return &cobra.Command{
		Use:     "heal [A B]",
		Short:   "Join machines of the lab that were cut from each other",
		Long:    "Join two machines of the lab that sluice lab cut parted; without names, join all.",
		Example: "  sluice lab heal h1 c1\n  sluice lab heal",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 0 && len(args) != 2 {
				return usagef("name both machines, or none for all")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			heal, joined := lab.HealAll, "all machines reach each other"
			if len(args) == 2 {
				heal = func(ctx context.Context) error { return lab.Heal(ctx, args[0], args[1]) }
				joined = fmt.Sprintf("%s and %s reach each other", args[0], args[1])
			}
			if err := heal(cmd.Context()); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), joined)
			return nil
		},
	}
}
