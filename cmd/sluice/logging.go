package main

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"
)

// logFlags say what a long-running command logs to stderr.
type logFlags struct{ level, format string }

func (o *logFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.level, "log-level", "info", "least level that is logged: `debug|info|warn|error`")
	cmd.Flags().StringVar(&o.format, "log-format", "text", "form of the log: `text|json`")
	completeWords(cmd, "log-level", "debug", "info", "warn", "error")
	completeWords(cmd, "log-format", "text", "json")
}

func (o *logFlags) logger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.level)); err != nil {
		return nil, usagef("log level %q: it is debug, info, warn or error", o.level)
	}
	options := &slog.HandlerOptions{Level: level}
	switch o.format {
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	}
	return nil, usageError{fmt.Errorf("log format %q: it is text or json", o.format)}
}
