package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice/controller/client"
	"sluice/store"
)

func hostAdopt() *cobra.Command {
	return wordCommand(store.WordAdopt, (*client.Client).AdoptHost, &cobra.Command{
		Use:   "adopt NAME",
		Short: "Have a host serve this store, and take its ports into it",
		Long: `Tell a host's agent that this store is the one to serve from now on. An agent that finds another
store than the one it remembers, or one that went back as after a restore, attaches and removes
nothing until the right store is back or it hears this word. It then writes the ports that the host
has and the store lacks into the store anew, as they are; where that cannot be, as when an address is
taken meanwhile, it says why, and leaves that port's interface as it is.`,
		Example: "  sluice host show h1\n  sluice host adopt h1",
	})
}

func hostClean() *cobra.Command {
	return wordCommand(store.WordClean, (*client.Client).CleanHost, &cobra.Command{
		Use:   "clean NAME",
		Short: "Have a host remove what belongs to no port",
		Long: `Tell a host's agent to remove the interfaces that belong to no port of this store: those that
"sluice host show" lists. Their containers lose their network. It does so by itself only for few of
them at once, and after a while, where the store is known to have lost nothing.`,
		Example: "  sluice host show h1\n  sluice host clean h1",
	})
}

// wordCommand says a word to a host's agent and waits until it was heard.
func wordCommand(word string, say func(*client.Client, context.Context, string) (client.Word, error), cmd *cobra.Command) *cobra.Command {
	cmd.Args, cmd.ValidArgsFunction = named("NAME"), completeArg(hostNames)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, args []string) error {
		host, w := args[0], cmd.OutOrStdout()
		said, err := say(c, cmd.Context(), host)
		if err != nil {
			return err
		}
		if said.Request == nil {
			fmt.Fprintf(w, "host %s asks for nothing: it serves this store, and has no port to take back\n", host)
			return nil
		}
		left, err := awaitAnswer(cmd.Context(), c, host, said.Request.ID)
		if err != nil {
			return err
		}
		writeDone(w, word, host, *said.Request, left)
		if left != nil {
			return fmt.Errorf("host %s: %s", host, strings.Join(left.Asks(host), "; "))
		}
		return nil
	})
}

// answerTime bounds the wait for an agent that was told a word.
const answerTime = 30 * time.Second

// awaitAnswer waits until an agent has heard a word, and returns what it asks for now, if
// anything.
func awaitAnswer(ctx context.Context, c *client.Client, host, answered string) (*store.Request, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	for {
		st, err := c.Status(ctx)
		if err != nil && ctx.Err() == nil {
			return nil, err
		}
		if now, asks := st.Requests[host]; err == nil && now.ID != answered {
			if !asks {
				return nil, nil
			}
			return &now, nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.New("host " + host + ": its agent was told, and has not answered yet: see sluice status")
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// writeDone says what a word did, by what was asked before and what still is.
func writeDone(w io.Writer, word, host string, asked store.Request, left *store.Request) {
	stays := map[string]bool{}
	if left != nil {
		for _, o := range left.Offered {
			stays[o.Interface] = true
		}
	}
	if word == store.WordAdopt && asked.Held != "" {
		fmt.Fprintf(w, "host %s serves this store now\n", host)
	}
	done := map[string]string{store.WordAdopt: "taken back", store.WordClean: "removed"}[word]
	for _, o := range asked.Offered {
		if !stays[o.Interface] {
			fmt.Fprintf(w, "port %s/%s/%s: %s\n", o.Tenant, o.Network, o.Name, done)
		}
	}
	if word == store.WordClean {
		for _, iface := range asked.Strays {
			fmt.Fprintf(w, "interface %s: %s\n", iface, done)
		}
	}
}

// writeRequest shows what a host's agent asks for.
func writeRequest(w io.Writer, host string, r store.Request) {
	for _, line := range r.Asks(host) {
		fmt.Fprintf(w, "\n%s %s\n", painterFor(w).bad("Waits for a word:"), line)
	}
	if len(r.Offered) == 0 {
		return
	}
	fmt.Fprintln(w)
	g := columns("not in this store", "interface", "addresses", "problem")
	for _, o := range r.Offered {
		g.row(o.Tenant+"/"+o.Network+"/"+o.Name, o.Interface, strings.Join(o.Addresses, ", "), o.Problem)
	}
	g.write(w)
}
