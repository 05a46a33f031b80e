package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/fatih/color"
	"github.com/spf13/cobra"

	"sluice/controller/client"
	"sluice/store/manifest"
	"sluice/store/manifest/manifestfile"
)

// wishFlags say what the cluster is to be like.
type wishFlags struct {
	file  string
	prune []string
}

func (o *wishFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&o.file, "file", "f", "", "`FILE` of YAML or JSON with the manifest; - for the standard input")
	f.StringArrayVar(&o.prune, "prune", nil, "remove this `OBJECT`, tenants/TENANT, networks/TENANT/NETWORK, peerings/TENANT/PEER or published/TENANT/NAME; may be repeated")
	must(cmd.MarkFlagRequired("file"))
	must(cmd.MarkFlagFilename("file", "yaml", "yml", "json"))
}

// wish reads the manifest, and where its parts stand.
func (o *wishFlags) wish(in io.Reader) (w client.Wish, places manifestfile.Places, err error) {
	var text []byte
	if o.file == "-" {
		text, err = io.ReadAll(in)
	} else {
		text, err = os.ReadFile(o.file)
	}
	if err != nil {
		return w, nil, fmt.Errorf("read the manifest: %w", err)
	}
	m, places, err := manifestfile.Parse(o.file, text)
	if err != nil {
		return w, nil, err
	}
	return client.Wish{Manifest: *m, Prune: o.prune}, places, nil
}

// plan asks for the plan of the wish.
func (o *wishFlags) plan(cmd *cobra.Command, c *client.Client) (client.Plan, error) {
	w, places, err := o.wish(cmd.InOrStdin())
	if err != nil {
		return client.Plan{}, err
	}
	p, err := c.Plan(cmd.Context(), w)
	return p, o.placed(err, places)
}

// placed says of an answer about a manifest where in the file that is.
func (o *wishFlags) placed(err error, places manifestfile.Places) error {
	var problem *client.Problem
	if !errors.As(err, &problem) {
		return err
	}
	path, message, ok := problem.ManifestPlace()
	if !ok {
		return err
	}
	at := places.Of(path)
	return fmt.Errorf("%s:%d:%d: %s: %s", o.file, at.Line, at.Column, path, message)
}

func planCommand() *cobra.Command {
	var o wishFlags
	var short bool
	cmd := &cobra.Command{
		Use:   "plan -f FILE",
		Short: "Say what a manifest would change: objects, and exact flows on each host",
		Long: `Say what a manifest would change: objects, and the exact flows that each host would get, lose and
have changed. Nothing is written.

A manifest declares tenants with their networks, publications and peerings. What it does not name is left alone; what it leaves out of
an object is that object's default. Nothing is removed but what --prune names.

A tenant that is new gets its gateway host when it is there; the flows of that host for it are not in the plan.
--output json keeps the plan, with a digest by which sluice apply does just that or nothing.`,
		Example: `  sluice plan -f cluster.yaml
  sluice plan -f cluster.yaml --prune tenants/bob
  sluice plan -f cluster.yaml -o json`,
		Args: cobra.NoArgs,
	}
	o.register(cmd)
	cmd.Flags().BoolVar(&short, "summary", false, "count the flows, and do not show them")
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		p, err := o.plan(cmd, c)
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), p, func(w io.Writer) { writePlan(w, &p, short) })
	})
}

func applyCommand() *cobra.Command {
	var o wishFlags
	var digest string
	cmd := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Bring the cluster to what a manifest says",
		Long: `Bring the cluster to what a manifest says: see sluice plan. Each object is written in a transaction of its own.
A second time there is nothing to do. What was refused half way is continued by the same command.

With the digest of a plan it is refused if the cluster moved on, so that it would do anything else than that
plan said.`,
		Example: `  sluice apply -f cluster.yaml
  sluice apply -f cluster.yaml --digest 0a1b2c3d4e5f60718293a4b5`,
		Args: cobra.NoArgs,
	}
	o.register(cmd)
	cmd.Flags().StringVar(&digest, "digest", "", "do what the plan of this `DIGEST` said, or nothing")
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		w, places, err := o.wish(cmd.InOrStdin())
		if err != nil {
			return err
		}
		done, err := c.Apply(cmd.Context(), client.Application{Wish: w, Digest: digest})
		if err != nil {
			return o.placed(err, places)
		}
		return out.print(cmd.OutOrStdout(), done, func(w io.Writer) { writeApplied(w, done.Steps) })
	})
}

func diffCommand() *cobra.Command {
	var o wishFlags
	cmd := &cobra.Command{
		Use:     "diff -f FILE",
		Short:   "Say in what the cluster is not as a manifest says; exit 1 where it is not",
		Example: "  sluice diff -f cluster.yaml",
		Args:    cobra.NoArgs,
	}
	o.register(cmd)
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		p, err := o.plan(cmd, c)
		if err != nil {
			return err
		}
		err = out.print(cmd.OutOrStdout(), p.Steps, func(w io.Writer) { writeSteps(w, p.Steps) })
		if err == nil && len(p.Steps) > 0 {
			err = fmt.Errorf("%s not as %s says: see sluice plan, and sluice apply", counted(len(p.Steps), "object"), filepath.Base(o.file))
		}
		return err
	})
}

func exportCommand() *cobra.Command {
	var tenant string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write tenants and networks as a manifest",
		Long: `Write tenants and their networks as a manifest, which sluice apply reads. What is a default is left out; numbers
and ports are not in it: ports are their hosts' to say.`,
		Example: `  sluice export > cluster.yaml
  sluice export --tenant alice`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&tenant, "tenant", "", "only this `TENANT`")
	completeFlag(cmd, "tenant", tenantNames)
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		m, err := c.Export(cmd.Context(), tenant)
		if err != nil {
			return err
		}
		text, err := manifestfile.Write(&m)
		if err != nil {
			return err
		}
		if *out == formatYAML {
			*out = formatTable // which is YAML too, with the fields in order
		}
		return out.print(cmd.OutOrStdout(), m, func(w io.Writer) { _, _ = w.Write(text) }) // as all that is written for people
	})
}

// writePlan writes the objects, then the flows host by host.
func writePlan(w io.Writer, p *client.Plan, short bool) {
	writeSteps(w, p.Steps)
	if len(p.Steps) == 0 {
		return
	}
	fmt.Fprintln(w)
	for _, problem := range p.Problems {
		fmt.Fprintf(w, "problem on %s\n", problem)
	}
	if len(p.Hosts) == 0 {
		fmt.Fprintln(w, "no flow changes")
	}
	for _, host := range p.Hosts {
		fmt.Fprintf(w, "%s: %s to add, %d to change, %d to delete\n", host.Host, counted(host.Add, "flow"), host.Modify, host.Delete)
	}
	if !short && len(p.Flows) > 0 {
		fmt.Fprintln(w)
		flowTable{withHost: true, withChange: true, withoutCounts: true}.write(w, p.Flows)
	}
	fmt.Fprintf(w, "\nrevision %d, digest %s\n", p.Revision, p.Digest)
}

// signs of what is changed, as in a patch.
var signs = map[string]string{manifest.Create: "+", manifest.Update: "~", manifest.Delete: "-"}

func writeSteps(w io.Writer, steps []client.PlanStep) {
	if len(steps) == 0 {
		fmt.Fprintln(w, "nothing to do: the cluster is as the manifest says")
	}
	p := painterFor(w)
	colors := map[string]color.Attribute{manifest.Create: color.FgGreen, manifest.Update: color.FgYellow, manifest.Delete: color.FgRed}
	for _, step := range steps {
		fmt.Fprintln(w, p.paint(signs[step.Change]+" "+step.Object, colors[step.Change]))
		for _, f := range step.Fields {
			fmt.Fprintf(w, "    %s: %s\n", f.Name, fieldChange(f))
		}
	}
}

func fieldChange(f manifest.Field) string {
	switch {
	case f.Before == "":
		return f.After
	case f.After == "":
		return f.Before + " -> none"
	}
	return f.Before + " -> " + f.After
}

func writeApplied(w io.Writer, steps []client.PlanStep) {
	words := map[string]string{manifest.Create: "created", manifest.Update: "updated", manifest.Delete: "deleted"}
	for _, step := range steps {
		fmt.Fprintln(w, strings.TrimSpace(step.Object+" "+words[step.Change]))
	}
	if len(steps) == 0 {
		fmt.Fprintln(w, "nothing to do: the cluster is as the manifest says")
	}
}
