package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manCommand writes the man pages, for packages.
func manCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "man DIRECTORY",
		Short:   "Write the man pages, one for each command",
		Example: "  sluice man man1",
		Hidden:  true,
		Args:    named("DIRECTORY"),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return fmt.Errorf("man pages: %w", err)
			}
			root := newRoot()
			eachCommand(root, func(c *cobra.Command) { c.DisableAutoGenTag = true }) // its date differs in each build
			header := &doc.GenManHeader{Section: "1", Source: "Sluice", Manual: "Sluice"}
			if err := doc.GenManTree(root, header, args[0]); err != nil {
				return fmt.Errorf("man pages: %w", err)
			}
			return nil
		},
	}
}
