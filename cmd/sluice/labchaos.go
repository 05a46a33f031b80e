package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"sluice/integration/chaos"
)

func labChaos() *cobra.Command {
	var o chaos.Options
	cmd := &cobra.Command{
		Use:   "chaos",
		Short: "Break the lab at random, and see that what must hold does",
		Long: `Break the running lab at random: kill, pause and cut off its processes, restart its switches, edit
their flows, unplug interfaces. Meanwhile tenants, networks and containers come and go, and pairs of
containers talk. Looked at all the time: no frame crosses tenants, no acknowledged write is lost, an
attach that succeeded has its flows and its first packet, and pairs that no fault touches lose none.
At the end every switch must hold exactly what is compiled anew, and nothing may be left over.

Without a lab it makes one, of 3 hosts, 2 controllers and 3 members of etcd, and removes it. The exit
status is 1 if something was violated; what happened before it and all flows are written to a file.`,
		Example: "  sluice lab chaos --for 10m\n  sluice lab chaos --for 1m --seed 7",
		Args:    cobra.NoArgs,
	}
	f := cmd.Flags()
	f.DurationVar(&o.For, "for", time.Minute, "`TIME` during which faults begin")
	f.Uint64Var(&o.Seed, "seed", 0, "`NUMBER` that the choices follow from (default one of the clock's)")
	f.StringVar(&o.Plant, "plant", "", "make a violation instead of faults, to see it found: `cross|lost`")
	completeWords(cmd, "plant", chaos.PlantCross, chaos.PlantLost)
	out := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if o.Seed == 0 {
			o.Seed = uint64(time.Now().UnixNano()) % 1_000_000
		}
		binary, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find this program: %w", err)
		}
		o.Binary, o.Out = binary, cmd.ErrOrStderr()
		report, err := chaos.Run(cmd.Context(), o)
		if report != nil {
			err = errors.Join(err, out.print(cmd.OutOrStdout(), report, func(w io.Writer) { writeChaos(w, report) }))
		}
		return explained(err)
	}
	return cmd
}

// explained puts what a violation shows besides its one line into a file.
func explained(err error) error {
	var v *chaos.Violation
	if !errors.As(err, &v) {
		return err
	}
	path := filepath.Join(os.TempDir(), fmt.Sprintf("sluice-chaos-%d.txt", v.Seed))
	text := fmt.Sprintf("seed %d: %v\n\n%s\n\n%s", v.Seed, v.Err, v.History, v.Flows)
	if failed := os.WriteFile(path, []byte(text), 0o600); failed != nil {
		return errors.Join(err, failed)
	}
	return fmt.Errorf("seed %d: %w: see %s", v.Seed, err, path)
}

func writeChaos(w io.Writer, r *chaos.Report) {
	fmt.Fprintf(w, "\nSeed %d, %s: %d requests acknowledged, %d refused, %d containers attached\n\n", r.Seed, r.Took.Round(time.Second),
		r.Counts["requests acknowledged"], r.Counts["requests refused"], r.Counts["containers attached"])
	g := columns("fault", "times", "packets lost", "mended, median", "worst")
	for _, f := range r.Faults {
		g.row(f.Kind, strconv.Itoa(f.Times), strconv.Itoa(f.Lost), f.Mended.Round(100*time.Millisecond).String(), f.Worst.Round(100*time.Millisecond).String())
	}
	g.write(w)
}
