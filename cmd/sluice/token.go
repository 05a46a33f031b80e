package main

import (
	"fmt"
	"io"
	"slices"
	"sluice/controller/client"
	"time"

	"github.com/spf13/cobra"
)

func tokenCommand() *cobra.Command {
	return group("token", "Tokens: who may use the API",
		"  sluice token create ci --role viewer\n  sluice token list",
		tokenCreate(), tokenList(), tokenRevoke())
}

func tokenCreate() *cobra.Command {
	spec := client.TokenSpec{}
	var lifetime time.Duration
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Let somebody use the API",
		Long: `Let somebody use the API. The token is shown once, and nobody can read it again; whoever has it is believed.

An admin sees and changes everything, a viewer sees everything, and a tenant's token sees and changes what belongs to that
tenant. With --person no token is made: who shows the certificate person:NAME has the role.`,
		Example: `  sluice token create prometheus --role viewer
  sluice token create alice-ci --tenant alice --for 720h
  sluice token create bob --role admin --person`,
		Args: named("NAME"),
	}
	f := cmd.Flags()
	f.StringVar(&spec.Role, "role", "", "what it allows: `admin|viewer|tenant` (tenant where --tenant is given)")
	f.StringVar(&spec.Tenant, "tenant", "", "the `TENANT` that it is for")
	f.DurationVar(&lifetime, "for", 0, "`TIME` after which it is good no longer, such as 720h (default never)")
	f.BoolVar(&spec.Person, "person", false, "the certificate of the person of that name stands for it")
	roles := []string{"admin", "viewer", "tenant"}
	completeWords(cmd, "role", roles...)
	completeFlag(cmd, "tenant", tenantNames)
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, args []string) error {
		spec.Name = args[0]
		switch {
		case spec.Role == "" && spec.Tenant == "":
			return usagef("say what the token allows: --role admin, --role viewer, or --tenant TENANT")
		case spec.Role == "":
			spec.Role = "tenant"
		case !slices.Contains(roles, spec.Role):
			return usagef("--role %q: it is admin, viewer or tenant", spec.Role)
		}
		if lifetime < 0 {
			return usagef("--for %s: it would be over", lifetime)
		}
		if lifetime > 0 {
			expires := time.Now().Add(lifetime)
			spec.Expires = &expires
		}
		t, err := c.CreateToken(cmd.Context(), spec)
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), t, func(w io.Writer) { writeNewToken(w, cmd.ErrOrStderr(), t) })
	})
}

// writeNewToken writes the text alone to out, so that a script can keep it, and the rest to notes.
func writeNewToken(out, notes io.Writer, t client.NewToken) {
	if t.Person {
		fmt.Fprintf(out, "person %s may use the API as %s\n", t.Name, roleOf(t.Token))
		return
	}
	fmt.Fprintf(notes, "token %s (%s): keep it, it is not shown again; use it as $%s\n", t.Name, roleOf(t.Token), tokenEnv)
	fmt.Fprintln(out, t.Text)
}

// roleOf is what a token allows, for people.
func roleOf(t client.Token) string {
	if t.Tenant != "" {
		return "tenant " + t.Tenant
	}
	return string(t.Role)
}

func tokenList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List who may use the API",
		Example: "  sluice token list\n  sluice token list -o json",
		Args:    cobra.NoArgs,
	}
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		list, err := c.Tokens(cmd.Context())
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), list, func(w io.Writer) { writeTokens(w, list) })
	})
}

func writeTokens(w io.Writer, list []client.Token) {
	g := columns("token", "allows", "proved by", "expires", "made by")
	for _, t := range list {
		expires := "never"
		if t.Expires != nil {
			expires = t.Expires.UTC().Format("2006-01-02 15:04:05Z")
		}
		if !t.Valid {
			expires = "good no longer"
		}
		g.row(t.Name, roleOf(t), yesNo(t.Person, "certificate", "secret"), expires, t.By)
	}
	g.write(w)
}

func tokenRevoke() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "revoke NAME",
		Aliases:           []string{"rm", "delete"},
		Short:             "End a token, at once",
		Example:           "  sluice token revoke ci",
		Args:              named("NAME"),
		ValidArgsFunction: completeArg(tokenNames),
	}
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, args []string) error {
		if _, err := c.RevokeToken(cmd.Context(), args[0]); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "token %s revoked\n", args[0])
		return nil
	})
}
