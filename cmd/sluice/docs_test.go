package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

const cliDocs = "../../docs/cli.md"

// TestDocs keeps docs/cli.md as it is generated from the commands.
func TestDocs(t *testing.T) { checkGolden(t, cliDocs, reference(newRoot())) }

// reference writes every command's help as one page.
func reference(root *cobra.Command) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Command line\n\n")
	fmt.Fprintf(&b, "<!-- Generated from the commands: go test ./cmd/sluice -update -->\n\n")
	fmt.Fprintf(&b, "%s\n\n", root.Long)
	var pages []*cobra.Command
	eachCommand(root, func(c *cobra.Command) {
		if c.Runnable() && (!c.HasSubCommands() || takesArguments(c)) && !c.Hidden && c.Name() != "help" && !inCompletion(c) {
			pages = append(pages, c)
		}
	})
	fmt.Fprintf(&b, "| command | does |\n|---|---|\n")
	for _, c := range pages {
		anchor := strings.ReplaceAll(c.CommandPath(), " ", "-")
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s |\n", strings.TrimPrefix(c.CommandPath(), "sluice "), anchor, c.Short)
	}
	for _, c := range pages {
		page(&b, c)
	}
	fmt.Fprintf(&b, "\n## Completion\n\n`sluice completion bash|zsh|fish|powershell` writes a script that completes commands, flags and\nthe names of tenants, networks, hosts, ports and the lab's containers.\n")
	return b.Bytes()
}

// takesArguments reports whether a command with commands of its own does something by itself.
func takesArguments(c *cobra.Command) bool { return strings.Contains(c.Use, " ") }

func inCompletion(c *cobra.Command) bool {
	return strings.HasPrefix(c.CommandPath(), "sluice completion")
}

func page(b *bytes.Buffer, c *cobra.Command) {
	fmt.Fprintf(b, "\n## %s\n\n", c.CommandPath())
	text := c.Long
	if text == "" {
		text = c.Short + "."
	}
	fmt.Fprintf(b, "%s\n\n", text)
	c.InitDefaultHelpFlag()
	fmt.Fprintf(b, "```\n%s\n\n%s```\n\n", c.UseLine(), c.LocalFlags().FlagUsages())
	fmt.Fprintf(b, "Examples:\n\n```sh\n%s\n```\n", unindent(c.Example))
}

func unindent(text string) string {
	return strings.TrimPrefix(strings.ReplaceAll(text, "\n  ", "\n"), "  ")
}
