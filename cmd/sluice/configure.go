package main

import (
	"errors"
	"io/fs"

	"github.com/spf13/cobra"

	"sluice/cmd/sluice/settings"
)

// The settings of the two parts that run as services.
var (
	controllerSettings = settings.Source{File: "/etc/sluice/controller.yaml", Prefix: "SLUICE_CONTROLLER_", Once: []string{"adopt"}, Never: commandFlags}
	agentSettings      = settings.Source{File: "/etc/sluice/agent.yaml", Prefix: "SLUICE_AGENT_", Once: []string{"adopt"}, Secret: []string{"join"}, Never: commandFlags}
)

// printFlag asks for the settings themselves.
const printFlag = "print-config"

// commandFlags ask for something else than to serve, so that they are no settings.
var commandFlags = []string{"help", "check", printFlag}

// configure gives a command, which has its flags already, the settings of its file and of the environment.
func configure(cmd *cobra.Command, source settings.Source) {
	cmd.Flags().String(settings.FileFlag, source.File, "`FILE` with settings, each under its flag's name, as YAML; empty: none. A flag goes before the environment, such as $"+source.EnvName("log-level")+", and that before the file")
	show := cmd.Flags().Bool(printFlag, false, "say what each setting is and where it stands, and end")
	var all *settings.Settings
	before, run := cmd.PreRunE, cmd.RunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) (err error) {
		if all, err = source.Read(cmd.Flags()); err != nil {
			return wrongSettings(err)
		}
		if before != nil {
			return before(cmd, args)
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *show {
			return all.Write(cmd.OutOrStdout())
		}
		return all.Explain(run(cmd, args))
	}
}

// wrongSettings is wrong usage, which no start mends, but for a file that cannot be read now.
func wrongSettings(err error) error {
	var unread *fs.PathError
	if errors.As(err, &unread) {
		return err
	}
	return usageError{err}
}
