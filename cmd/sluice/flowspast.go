package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"sluice/controller/client"
	"sluice/store"
)

// pastFlags ask for flows of the past.
type pastFlags struct {
	at, between int64
	to          int64 // the second revision of --between; 0: now
	asked       bool  // one of them was given
}

func (p *pastFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.Int64Var(&p.at, "at", 0, "what they should have held at this `REVISION`")
	f.Int64Var(&p.between, "between", 0, "what changed of that from this `REVISION` to the one that follows (default now)")
	cmd.MarkFlagsMutuallyExclusive("at", "between", "installed", "diff", "watch")
}

// arguments takes the second revision of --between.
func (p *pastFlags) arguments(cmd *cobra.Command, args []string) error {
	if !cmd.Flags().Changed("between") {
		return cobra.NoArgs(cmd, args)
	}
	return cobra.MaximumNArgs(1)(cmd, args)
}

// choose says in a filter which revisions are asked for.
func (p *pastFlags) choose(cmd *cobra.Command, args []string, filter *client.FlowFilter) error {
	for flag, value := range map[string]int64{"at": p.at, "between": p.between} {
		if cmd.Flags().Changed(flag) && value < 1 {
			return usagef("--%s %d: revisions begin at 1", flag, value)
		}
	}
	p.asked = p.at > 0 || p.between > 0
	filter.At, filter.Since = store.Revision(p.at), store.Revision(p.between)
	if len(args) == 0 {
		return nil
	}
	to, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil || to < 1 {
		return usageError{fmt.Errorf("revision %q: write it as a number from 1", args[0])}
	}
	p.to, filter.At = to, store.Revision(to)
	return nil
}

// hosts are those that are there now, and those that were there then, though they are deleted by now.
func (p *pastFlags) hosts(ctx context.Context, c *client.Client) ([]string, error) {
	names, err := hostNames(ctx, c)
	if err != nil {
		return nil, err
	}
	for _, rev := range []int64{p.at, p.between, p.to} {
		if rev == 0 {
			continue
		}
		then, err := c.HostsAt(ctx, store.Revision(rev))
		if err != nil {
			return nil, err
		}
		for _, h := range then {
			names = append(names, h.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// isNotFound reports whether the API answered that something is not there.
func isNotFound(err error) bool {
	var p *client.Problem
	return errors.As(err, &p) && p.Status == http.StatusNotFound
}
