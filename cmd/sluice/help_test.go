package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// allCommands are every command that a user may type.
func allCommands() (all []*cobra.Command) {
	eachCommand(newRoot(), func(c *cobra.Command) { all = append(all, c) })
	return all
}

func TestEveryCommandHasHelp(t *testing.T) {
	for _, c := range allCommands() {
		if c.Short == "" {
			t.Errorf("%s: no Short", c.CommandPath())
		}
		if strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: Short ends with a full stop: %q", c.CommandPath(), c.Short)
		}
		if !strings.HasPrefix(c.Example, "  sluice") {
			t.Errorf("%s: no example that begins with sluice: %q", c.CommandPath(), c.Example)
		}
		if c.Args == nil && c.Name() != "help" && c.Parent() != nil && c.Parent().Name() != "completion" && c.Name() != "completion" {
			t.Errorf("%s: takes any arguments", c.CommandPath())
		}
	}
}

// TestExamplesParse runs every line of every example as far as its flags and arguments.
func TestExamplesParse(t *testing.T) {
	for _, c := range allCommands() {
		for _, line := range strings.Split(c.Example, "\n") {
			if err := parses(line); err != nil {
				t.Errorf("%s: example %q: %v", c.CommandPath(), line, err)
			}
		}
	}
}

// TestDocumentedCommandsParse does the same with every command that a page shows. What they do
// is tried in package integration.
func TestDocumentedCommandsParse(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			line = strings.TrimPrefix(strings.TrimSpace(line), "sudo bin/")
			if !strings.HasPrefix(line, "sluice ") || strings.Contains(line, "(CLI)") || strings.HasSuffix(line, "[flags]") {
				continue // a picture, and usage lines of the generated page
			}
			if err := parses(line); err != nil {
				t.Errorf("%s: %q: %v", page, line, err)
			}
		}
	}
}

func parses(line string) error {
	line, _, _ = strings.Cut(line, "#")
	line, _, _ = strings.Cut(line, " > ")
	if _, behind, piped := strings.Cut(line, "| sluice "); piped {
		line = "sluice " + behind
	}
	cmd, rest, err := newRoot().Find(strings.Fields(line)[1:])
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	if err := cmd.ValidateRequiredFlags(); err != nil {
		return err
	}
	if err := cmd.ValidateFlagGroups(); err != nil {
		return err
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}
