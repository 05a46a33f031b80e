package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fatih/color"
	"github.com/spf13/cobra"

	"sluice/controller/client"
	"sluice/store"
)

func statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the cluster at a glance: hosts, controllers, problems",
		Long: `Show the cluster at a glance. A host is realized at a revision when its switch holds what the
store said at it. Its isolation is proved where the flows that its switch held when they were last
read keep tenants apart: as of when that holds, and when all flows were last read if that is longer
ago. The command verify reads and proves all of them now. Switches that dialled in and belong to no
host are shown as unknown: they get no tenant's flows.`,
		Example: "  sluice status\n  sluice status -o json",
		Args:    cobra.NoArgs,
	}
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		st, err := c.Status(cmd.Context())
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), st, func(w io.Writer) { writeStatus(w, st) })
	})
}

func writeStatus(w io.Writer, st client.Status) {
	p := painterFor(w)
	if st.Store.Held {
		fmt.Fprintf(w, "%s: etcd does not hold the store that this controller serves: %s\n", p.bad("Held"), st.Store.Why)
	}
	fmt.Fprintf(w, "Revision %d: %s, %s, %s, %s\n", st.Revision, counted(st.Tenants, "tenant"),
		counted(st.Networks, "network"), counted(st.Ports, "port"), hostCounts(st))
	writeVersions(w, st)
	for _, note := range st.Notes {
		fmt.Fprintln(w, "Note: "+note)
	}
	if len(st.Hosts) > 0 {
		fmt.Fprintln(w)
		g := columns("host", "state", "realized", "isolation", "as of", "agent", "switch", "flows", "master", "version")
		for _, h := range st.Hosts {
			g.row(h.Name, p.state(h.State), fmt.Sprint(h.Realized), p.isolation(h.Proof), asOf(h.Proof, time.Now()), p.agent(h.Live), h.DatapathID.String(), positive(h.Flows), h.Master, h.Agent.Version)
		}
		g.write(w)
	}
	fmt.Fprintln(w)
	g := columns("controller", "openflow", "api", "since", "version")
	for _, c := range st.Controllers {
		g.row(c.Name, c.OpenFlow, c.API, c.Since.UTC().Format("2006-01-02 15:04:05Z"), c.Version)
	}
	g.write(w)
	for _, h := range st.Hosts {
		if h.State == store.HostLastKnown {
			fmt.Fprintf(w, "\n%s %s: %s\n", p.bad("Host"), h.Name, byLastKnown)
		}
		for _, key := range h.Missing {
			fmt.Fprintf(w, "\n%s %s: its switch lacks the interface of %s: attach it again, or detach it\n", p.bad("Host"), h.Name, strings.TrimPrefix(key, store.Prefix))
		}
	}
	for _, h := range st.Hosts {
		if d := h.Drift; d != nil {
			fmt.Fprintf(w, "\n%s %s: somebody else wrote to its switch: %d flows missing, %d extra, %d changed, mended, last at %s\n",
				p.bad("Host"), h.Name, d.Missing, d.Extra, d.Changed, d.Last.Format("2006-01-02 15:04:05Z"))
		}
	}
	for _, id := range st.Unknown {
		with := ""
		if shows := st.UnknownShows[id.String()]; shows != "" {
			with = " with " + shows
		}
		fmt.Fprintf(w, "\n%s %s: it dialled in%s and belongs to no host: start sluice agent beside it\n", p.bad("Unknown switch"), id, with)
	}
	if st.UnknownMore > 0 {
		fmt.Fprintf(w, "\n%s and %d more, which came later: does somebody flood the OpenFlow port?\n", p.bad("Unknown switches"), st.UnknownMore)
	}
	writeProblems(w, allProblems(st))
}

// writeVersions says what an upgrade has left to do, and what another version left here.
func writeVersions(w io.Writer, st client.Status) {
	if least := leastWritten(st); least > st.LeastSchema {
		fmt.Fprintf(w, "All that is live writes schema %d, and older programs may write still: `sluice schema set %d` ends the upgrade\n", least, least)
	}
	for _, kind := range slices.Sorted(maps.Keys(st.UnknownKinds)) {
		fmt.Fprintf(w, "Kept: %s below %s/, of a kind that this version does not know\n", counted(st.UnknownKinds[kind], "object"), kind)
	}
}

// leastWritten is the least schema that a live agent or controller writes; 0: nothing is live.
func leastWritten(st client.Status) (least int) {
	note := func(p store.Program) {
		if schema := max(p.Schema, 1); least == 0 || schema < least {
			least = schema
		}
	}
	for _, c := range st.Controllers {
		note(c.Program)
	}
	for _, h := range st.Hosts {
		if h.Live {
			note(h.Agent)
		}
	}
	return least
}

// byLastKnown explains store.HostLastKnown.
const byLastKnown = "its switch dialled in while etcd was away, and is programmed by its last known state: nothing new is attached there until etcd answers"

// hostCounts is how many hosts there are, and how many of them in which state.
func hostCounts(st client.Status) string {
	text := counted(len(st.Hosts), "host")
	var states []string
	for _, s := range []store.HostState{store.HostRealized, store.HostBehind, store.HostUnreachable, store.HostMissing, store.HostRefused, store.HostLastKnown, store.HostDown} {
		if n := st.HostStates[string(s)]; n > 0 {
			states = append(states, fmt.Sprintf("%d %s", n, s))
		}
	}
	if len(states) == 0 {
		return text
	}
	return text + " (" + strings.Join(states, ", ") + ")"
}

// allProblems are those of objects, then those that only a host knows of.
func allProblems(st client.Status) store.Problems {
	all := append(store.Problems{}, st.Problems...)
	known := map[store.Problem]bool{}
	for _, p := range all {
		known[p] = true
	}
	for _, h := range st.Hosts {
		for _, p := range h.Problems {
			if !known[p] {
				known[p] = true
				all = append(all, p)
			}
		}
	}
	return all
}

// state colours a host's state by how much it should worry.
func (p painter) state(s store.HostState) string {
	switch s {
	case store.HostRealized:
		return p.paint(string(s), color.FgGreen)
	case store.HostDown:
		return p.paint(string(s), color.FgRed)
	}
	return p.paint(string(s), color.FgYellow)
}

// isolation is what is proved of a host, by the controller that answers.
func (p painter) isolation(proof *client.Proof) string {
	if proof == nil {
		return ""
	}
	return p.proved(proof.Isolation == client.IsolationProved, string(proof.Isolation))
}

// asOf says how old a proof is, and how old the last one over all flows.
func asOf(proof *client.Proof, now time.Time) string {
	if proof == nil || proof.At.IsZero() {
		return ""
	}
	text := ago(now, proof.At)
	if !proof.Whole.Equal(proof.At) {
		text += ", whole " + ago(now, proof.Whole)
	}
	return text
}

// ago is how long before now a time was, to the second. Clocks of machines differ: what is yet to
// come is now.
func ago(now, at time.Time) string {
	return max(0, now.Sub(at)).Round(time.Second).String() + " ago"
}

func (p painter) agent(live bool) string {
	if live {
		return "live"
	}
	return p.paint("away", color.FgYellow)
}

func (p painter) bad(s string) string { return p.paint(s, color.FgRed, color.Bold) }
