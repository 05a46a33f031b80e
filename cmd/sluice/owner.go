package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"

	"github.com/spf13/cobra"

	"sluice/controller/api"
	"sluice/controller/client"
)

func ownerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "owner COOKIE... | owner -",
		Short: "Say whose flows carry a cookie",
		Long: `Say whose flows carry a cookie, as a dump of ovs-ofctl shows it. Each flow of Sluice's carries the
cookie of one object, and no other object's flows do.

With - read such a dump, and write each of its lines with its owner behind it.`,
		Example: `  sluice owner 0x500000700000065
  ovs-ofctl -O OpenFlow13 dump-flows br-int | sluice owner -`,
		Args: cobra.MinimumNArgs(1),
	}
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, args []string) error {
		if len(args) == 1 && args[0] == "-" {
			return nameOwners(cmd, c)
		}
		for _, cookie := range args {
			if _, err := api.Cookie(cookie); err != nil {
				return usageError{err}
			}
		}
		list, err := c.Owners(cmd.Context(), args)
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), list, func(w io.Writer) { writeOwners(w, list) })
	})
}

func writeOwners(w io.Writer, list []client.FlowOwner) {
	g := columns("cookie", "owner")
	for _, o := range list {
		g.row(o.Cookie, o.Owner)
	}
	g.write(w)
}

// cookieOf finds the cookie of a dumped flow.
var cookieOf = regexp.MustCompile(`\bcookie=(0x[0-9a-fA-F]{1,16})\b`)

// nameOwners copies a dump from the standard input, with the owner behind each flow.
func nameOwners(cmd *cobra.Command, c *client.Client) error {
	var lines, cookies []string
	for scan := bufio.NewScanner(cmd.InOrStdin()); ; {
		if !scan.Scan() {
			if err := scan.Err(); err != nil {
				return fmt.Errorf("read the dump: %w", err)
			}
			break
		}
		lines = append(lines, scan.Text())
		if found := cookieOf.FindStringSubmatch(scan.Text()); found != nil {
			cookies = append(cookies, found[1])
		}
	}
	if len(cookies) == 0 {
		return errors.New("the standard input has no flow with a cookie: give it what ovs-ofctl dump-flows prints")
	}
	list, err := c.Owners(cmd.Context(), slices.Compact(slices.Sorted(slices.Values(cookies))))
	if err != nil {
		return err
	}
	owners := map[uint64]string{}
	for _, o := range list {
		cookie, _ := api.Cookie(o.Cookie)
		owners[cookie] = o.Owner
	}
	for _, line := range lines {
		if found := cookieOf.FindStringSubmatch(line); found != nil {
			cookie, _ := api.Cookie(found[1])
			line += "  # " + owners[cookie]
		}
		fmt.Fprintln(cmd.OutOrStdout(), line)
	}
	return nil
}
