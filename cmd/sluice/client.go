package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice/controller/access"
	"sluice/controller/client"
	"sluice/integration/lab"
)

const (
	defaultAPI = "http://127.0.0.1:8080"
	apiEnv     = "SLUICE_API"
	tokenEnv   = "SLUICE_TOKEN"
)

// apiFlag makes a command a client of the API.
func apiFlag(cmd *cobra.Command) {
	cmd.Flags().String("api", "", "`URL` of the API (default $"+apiEnv+", the running lab's, or "+defaultAPI+"); https is believed by the ca.crt of $"+pkiEnv+" or "+defaultPKI)
	cmd.Flags().String("token", "", "`TOKEN`, or @FILE with one, that says who asks (default $"+tokenEnv+", or the one that root of the API's own machine can read)")
}

// dial is a client of the API that the command line, the environment or the lab names.
func dial(cmd *cobra.Command) (*client.Client, error) {
	flag, err := cmd.Flags().GetString("api")
	if err != nil {
		return nil, err
	}
	token, err := givenToken(cmd)
	if err != nil {
		return nil, err
	}
	running, err := lab.Load(cmd.Context())
	if err != nil {
		running = lab.Status{} // without a lab there is none to ask
	}
	url := cmp.Or(flag, os.Getenv(apiEnv), running.API, defaultAPI)
	if token != "" && strings.HasPrefix(url, "http://") && !isLoopback(url) {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: whoever is on the way to %s reads the token: use https\n", url)
	}
	options, err := security(url)
	if err != nil {
		return nil, err
	}
	c, err := client.Dial(url, append(options, credentials(url, token, running))...)
	if err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

// givenToken is the token that the command line or the environment says, or @ and a file that has it.
func givenToken(cmd *cobra.Command) (string, error) {
	token, err := cmd.Flags().GetString("token")
	if err != nil {
		return "", err
	}
	token = cmp.Or(token, os.Getenv(tokenEnv))
	if file, isFile := strings.CutPrefix(token, "@"); isFile {
		if _, err := os.ReadFile(file); err != nil {
			return "", usagef("--token %s: %v", token, err)
		}
	}
	return token, nil
}

// credentials are what says who asks at a URL: the token that the user gave, be it in a file, else
// the one that only root of the API's machine can read.
func credentials(url, given string, running lab.Status) client.Option {
	switch file, isFile := strings.CutPrefix(given, "@"); {
	case isFile:
		return client.WithTokenFile(file)
	case given != "":
		return client.WithToken(given)
	case url == running.API:
		return client.WithTokenFile(running.TokenFile)
	}
	return client.WithTokenFile(access.LocalTokenFileOf(url))
}

// clientCommand is a command that asks the API and prints what it answers.
func clientCommand(cmd *cobra.Command, run func(cmd *cobra.Command, c *client.Client, args []string) error) *cobra.Command {
	apiFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := dial(cmd)
		if err != nil {
			return err
		}
		return run(cmd, c, args)
	}
	return cmd
}

// completionTime bounds how long a shell waits for names.
const completionTime = 2 * time.Second

// lister finds names for completion.
type lister func(ctx context.Context, c *client.Client) ([]string, error)

// completeArg offers names for the first argument.
func completeArg(names lister) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(cmd, names, typed)
	}
}

// completeFlag offers names for a flag's value.
func completeFlag(cmd *cobra.Command, flag string, names lister) {
	must(cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return complete(cmd, names, typed)
	}))
}

func complete(cmd *cobra.Command, names lister, typed string) ([]string, cobra.ShellCompDirective) {
	c, err := dial(cmd)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	all, err := names(ctx, c)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return matching(all, typed), cobra.ShellCompDirectiveNoFileComp
}

// matching are the names that begin with what was typed.
func matching(names []string, typed string) (fit []string) {
	for _, name := range names {
		if strings.HasPrefix(name, typed) {
			fit = append(fit, name)
		}
	}
	return fit
}

func tenantNames(ctx context.Context, c *client.Client) ([]string, error) {
	list, err := c.Tenants(ctx)
	return namesOf(list, func(t client.Tenant) string { return t.Name }), err
}

func networkNames(ctx context.Context, c *client.Client) ([]string, error) {
	list, err := c.Networks(ctx, "")
	return namesOf(list, func(n client.Network) string { return n.Tenant + "/" + n.Name }), err
}

func hostNames(ctx context.Context, c *client.Client) ([]string, error) {
	list, err := c.Hosts(ctx)
	return namesOf(list, func(h client.Host) string { return h.Name }), err
}

func portNames(ctx context.Context, c *client.Client) ([]string, error) {
	list, err := c.Ports(ctx, client.PortFilter{})
	return namesOf(list, portName), err
}

func tokenNames(ctx context.Context, c *client.Client) ([]string, error) {
	list, err := c.Tokens(ctx)
	return namesOf(list, func(t client.Token) string { return t.Name }), err
}

func namesOf[T any](list []T, name func(T) string) []string {
	names := make([]string, len(list))
	for i, v := range list {
		names[i] = name(v)
	}
	return names
}

// completeWords offers fixed words for a flag's value.
func completeWords(cmd *cobra.Command, flag string, words ...string) {
	must(cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)))
}
