package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"sluice/controller/client"
	"sluice/controller/enrol"
)

func hostInvite() *cobra.Command {
	var spec client.InvitationSpec
	var lifetime time.Duration
	cmd := &cobra.Command{
		Use:   "invite NAME",
		Short: "Make a token by which one machine joins as a host",
		Long: `Make a token by which one machine joins the cluster as the host NAME: it is printed alone, so that a script
can keep it. The machine that runs sluice agent --join TOKEN makes its key, gets a certificate, and is
told where etcd and the controllers are. The token is good once, and for a while.

It needs a controller that holds the authority's key, whose API the machine reaches over TLS.`,
		Example: `  sluice host invite h1
  sluice host invite h1 --expires 10m`,
		Args: named("NAME"),
	}
	f := cmd.Flags()
	f.DurationVar(&lifetime, "expires", enrol.DefaultLifetime, "`TIME` for which the token is good")
	f.StringVar(&spec.API, "via", "", "`URL` by which the machine reaches the API of a controller that signs (default that of the controller that answers)")
	f.BoolVar(&spec.Anew, "anew", false, "another machine takes the place of the one that is enrolled: once it has joined, that one's certificate is not believed any more")
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, args []string) error {
		expires := time.Now().Add(lifetime)
		spec.Expires = &expires
		i, err := c.InviteHost(cmd.Context(), args[0], spec)
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), i, func(w io.Writer) { writeInvitation(w, cmd.ErrOrStderr(), i) })
	})
}

// writeInvitation writes the token alone to out, and the rest to notes.
func writeInvitation(out, notes io.Writer, i client.Invitation) {
	fmt.Fprintf(notes, "host %s: until %s, once, on that machine: sluice agent --vtep ADDRESS --join TOKEN\n", i.Host, i.Expires.UTC().Format(time.RFC3339))
	fmt.Fprintln(out, i.Token)
}

func hostEnrol() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "enrol NAME",
		Short: "Believe a host's certificate that was made by hand",
		Long: `Believe the certificate of the host NAME, which was made with sluice pki issue or sign. A machine that joins
with a token is enrolled by that. sluice host delete ends it.`,
		Example: "  sluice host enrol h1",
		Args:    named("NAME"),
	}
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, args []string) error {
		if _, err := c.EnrolHost(cmd.Context(), args[0]); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "host %s enrolled\n", args[0])
		return nil
	})
}
