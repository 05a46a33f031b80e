package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"sluice/controller/client"
	"sluice/store"
)

// Exit statuses that scripts may rely on.
const (
	statusDone   = 0
	statusFailed = 1
	statusUsage  = 2
)

// usageError is a command line that means nothing.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// quietExit ends the program with a status that needs no words, such as that of a command
// run in a container.
type quietExit int

func (e quietExit) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// Groups of commands in the help.
const (
	groupObjects = "objects"
	groupLook    = "look"
	groupRun     = "run"
)

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "sluice",
		Short: "Networks for the tenants of a shared container cluster",
		Long: `Sluice gives every tenant of a shared container cluster a network of its own, made of
explicit OpenFlow flows that name the tenant and the object that they serve.

Client commands talk to the API at --api, else $SLUICE_API, else that of the running lab,
else ` + defaultAPI + `. Who asks is said by --token, else $SLUICE_TOKEN; root of the API's own
machine needs neither.

Exit status: 0 done; 1 it failed, with one line that says what and which object; 2 wrong
usage. sluice flows --diff, sluice diff and sluice verify exit 1 when they find something.`,
		Example: `  sluice lab up
  sluice tenant create alice --subnet 10.0.0.0/24
  sluice lab run h1 alice a1
  sluice status`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noSuchCommand,
		RunE:          showHelp,
	}
	root.AddGroup(
		&cobra.Group{ID: groupObjects, Title: "Objects:"},
		&cobra.Group{ID: groupLook, Title: "What the cluster does:"},
		&cobra.Group{ID: groupRun, Title: "Parts:"},
	)
	add(root, groupObjects, tenantCommand(), networkCommand(), hostCommand(), portCommand(), gatewayCommand(), peeringCommand(), unpeerCommand(), publicationCommand(), unpublishCommand(), stickyCommand(), tokenCommand(), schemaCommand(), tidyCommand(),
		planCommand(), applyCommand(), diffCommand(), exportCommand())
	add(root, groupLook, statusCommand(), eventsCommand(), watchCommand(), flowsCommand(), ownerCommand(), traceCommand(), verifyCommand(), usageCommand())
	add(root, groupRun, controllerCommand(), agentCommand(), lxcHookCommand(), pkiCommand(), labCommand(), benchCommand())
	root.AddCommand(versionCommand(), manCommand(), benchPartCommand())
	describeCompletion(root)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{plainly(err)} })
	eachCommand(root, wrapArgs)
	return root
}

// parserWords name the function of Go's library that could not read a flag's value, and the value again.
var parserWords = regexp.MustCompile(`(strconv\.\w+: )?parsing "[^"]*": `)

// plainly is a flag's error without them.
func plainly(err error) error { return errors.New(parserWords.ReplaceAllString(err.Error(), "")) }

func add(root *cobra.Command, group string, commands ...*cobra.Command) {
	for _, c := range commands {
		c.GroupID = group
		root.AddCommand(c)
	}
}

// group is a command that only holds others.
func group(use, short, example string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Example: example, Args: noSuchCommand, RunE: showHelp}
	c.AddCommand(commands...)
	return c
}

func showHelp(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// noSuchCommand refuses what is neither a command nor nothing.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		text += ": did you mean " + strings.Join(near, " or ")
	}
	return errors.New(text)
}

func eachCommand(c *cobra.Command, f func(*cobra.Command)) {
	f(c)
	for _, child := range c.Commands() {
		eachCommand(child, f)
	}
}

// wrapArgs makes a wrong number of arguments wrong usage.
func wrapArgs(c *cobra.Command) {
	check := c.Args
	if check == nil {
		return
	}
	c.Args = func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}

// named asks for exactly these arguments and says which is missing.
func named(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return fmt.Errorf("%s is missing", names[len(args)])
		}
		if len(args) > len(names) {
			return fmt.Errorf("%q is one argument too many", args[len(names)])
		}
		for i, name := range names {
			if err := checkNamed(name, args[i]); err != nil {
				return err
			}
		}
		return nil
	}
}

// checkNamed refuses a name that no object has, where the argument is one by itself.
func checkNamed(argument, value string) error {
	if argument != "NAME" && argument != "HOST" && argument != "TENANT" {
		return nil
	}
	return store.ValidateName(value)
}

// checkParts refuses names that no object has, where an argument is made of several.
func checkParts(parts ...string) error {
	for _, part := range parts {
		if err := store.ValidateName(part); err != nil {
			return usageError{err}
		}
	}
	return nil
}

// execute runs the command line and says on stderr, in one line, what went wrong. It
// returns the exit status.
func execute(ctx context.Context, root *cobra.Command) int {
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return statusDone
	}
	var quiet quietExit
	if errors.As(err, &quiet) {
		return int(quiet)
	}
	status, text := statusFailed, explain(err)
	var usage usageError
	if errors.As(err, &usage) || isCobraUsage(err) {
		status, text = statusUsage, fmt.Sprintf("%s: see %s --help", text, cmd.CommandPath())
	}
	fmt.Fprintf(root.ErrOrStderr(), "sluice: %s\n", strings.ReplaceAll(strings.TrimSpace(text), "\n", "; "))
	return status
}

// isCobraUsage knows the errors that cobra makes by itself, as plain texts.
func isCobraUsage(err error) bool {
	text := err.Error()
	return strings.HasPrefix(text, "required flag(s)") || strings.HasPrefix(text, "if any flags in the group") || strings.HasPrefix(text, "at least one of the flags in the group") ||
		strings.HasPrefix(text, "unknown command")
}

// explain adds what to do to errors of our own libraries that cannot know.
func explain(err error) string {
	var away *client.UnreachableError
	var refused *client.Problem
	switch {
	case errors.As(err, &refused) && refused.Status == http.StatusUnauthorized:
		return err.Error() + " (sluice: --token, $" + tokenEnv + ", or run it as root on the API's own machine)"
	case errors.As(err, &away):
		return away.Error() + ": is it running? start sluice lab up or sluice controller, or name another with --api"
	case errors.Is(err, context.Canceled):
		return "interrupted"
	}
	return err.Error()
}
