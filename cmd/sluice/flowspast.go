package main

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/spf13/cobra"

	"sluice/controller/client"
	"sluice/store"
)

// pastFlags ask for flows of the past.
type pastFlags struct {
	at, between int64
	asked       bool // one of them was given
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
	filter.At = store.Revision(to)
	return nil
}

// isNotFound reports whether the API answered that something is not there.
func isNotFound(err error) bool {
	var p *client.Problem
	return errors.As(err, &p) && p.Status == http.StatusNotFound
}
