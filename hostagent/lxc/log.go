package lxc

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Places where LXC keeps containers and logs unless told otherwise.
const (
	containersDir = "/var/lib/lxc"
	logsDir       = "/var/log/lxc"
)

// Level is how grave a sentence of a log is, in LXC's words.
type Level string

// Levels that there are for us.
const (
	Error   Level = "ERROR" // the start fails
	Warning Level = "WARN"
)

// Log adds a sentence to the container's log, in LXC's own form. LXC itself takes what a hook
// prints at level DEBUG alone, and writes no log at all unless it is told to.
func (c Call) Log(level Level, sentence string, now time.Time) error {
	file := c.logFile()
	err := os.MkdirAll(filepath.Dir(file), 0o755)
	if err != nil {
		return fmt.Errorf("container %s: write its log: %w", c.Container, err)
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return fmt.Errorf("container %s: write its log: %w", c.Container, err)
	}
	defer f.Close()
	_, err = fmt.Fprintf(f, "sluice %s %s %-8s %s - %s\n", c.Container, now.UTC().Format("20060102150405.000"), level, cmp.Or(c.Hook, "hook"), sentence)
	return err
}

// logFile is where LXC logs of the container: the key lxc.log.file, else a place that follows from
// that of its configuration.
func (c Call) logFile() string {
	text, _ := os.ReadFile(c.Config) // LXC has read it
	file := ""
	for line := range strings.Lines(string(text)) {
		if key, value, isKey := strings.Cut(line, "="); isKey && strings.TrimSpace(key) == "lxc.log.file" {
			file = strings.TrimSpace(value)
		}
	}
	dir := filepath.Dir(c.Config)
	switch {
	case file != "":
		return file
	case filepath.Dir(dir) == containersDir:
		return filepath.Join(logsDir, c.Container+".log")
	default:
		return filepath.Join(dir, c.Container+".log")
	}
}
