// Package settings finds the flags of a command in its configuration file and in the environment, where
// the command line does not have them. It must never guess: what it does not understand is an error that
// says where it stands. It runs once, before the command does.
package settings

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// FileFlag is the flag that names another configuration file.
const FileFlag = "config"

// Source is where a command's settings may stand.
type Source struct {
	File   string   // read where it is there; FileFlag names another one, which must be there
	Prefix string   // of names in the environment, such as SLUICE_AGENT_
	Once   []string // flags that are meant for one start: a file, which is for all, must not have them
	Secret []string // flags with values for nobody else's eyes, but for @ and the file that has one
	Never  []string // flags that are no settings, such as help
}

// Setting is the value that a flag has, and where it stands.
type Setting struct {
	Flag *pflag.Flag
	From string // FromFlag, FromDefault, or a place such as "$SLUICE_AGENT_VTEP" or "/etc/sluice/agent.yaml:3"
}

// Where settings stand that stand nowhere else.
const (
	FromFlag    = "flag"
	FromDefault = "default"
)

// Settings are those of a command, by the names of their flags.
type Settings struct {
	source Source
	flags  *pflag.FlagSet
	from   map[string]string
}

// Read gives each flag that the command line does not have its value of the environment, else that of
// the file.
func (s Source) Read(flags *pflag.FlagSet) (*Settings, error) {
	all := &Settings{source: s, flags: flags, from: make(map[string]string)}
	flags.Visit(func(f *pflag.Flag) { all.from[f.Name] = FromFlag })
	if err := all.takeEnvironment(os.Environ()); err != nil {
		return nil, err
	}
	file, named := s.File, false
	if f := flags.Lookup(FileFlag); f != nil && f.Changed {
		file, named = f.Value.String(), true
	}
	lines, err := readFile(file, named)
	if err != nil {
		return nil, err
	}
	if err := all.takeFile(file, lines); err != nil {
		return nil, err
	}
	return all, nil
}

// List are all settings, by name.
func (s *Settings) List() []Setting {
	var list []Setting
	s.flags.VisitAll(func(f *pflag.Flag) {
		if f.Name == FileFlag || slices.Contains(s.source.Never, f.Name) {
			return
		}
		from, ok := s.from[f.Name]
		if !ok {
			from = FromDefault
		}
		list = append(list, Setting{f, from})
	})
	return list
}

// isSecret reports whether nobody else is to see a value.
func (s *Settings) isSecret(f *pflag.Flag, value string) bool {
	return slices.Contains(s.source.Secret, f.Name) && value != "" && !strings.HasPrefix(value, "@")
}

// Explain adds to an error about flags where their values stand, if they are none of the command line.
func (s *Settings) Explain(err error) error {
	if err == nil {
		return nil
	}
	var places []string
	for _, setting := range s.List() {
		if setting.From != FromFlag && setting.From != FromDefault && names(err.Error(), setting.Flag.Name) {
			places = append(places, fmt.Sprintf("%s stands in %s", setting.Flag.Name, setting.From))
		}
	}
	if len(places) == 0 {
		return err
	}
	return fmt.Errorf("%w (%s)", err, strings.Join(places, ", "))
}

// names reports whether a text speaks of a flag: --vtep, not --vtep-file.
func names(text, flag string) bool {
	for {
		_, after, found := strings.Cut(text, "--"+flag)
		if !found {
			return false
		}
		if after == "" || !strings.ContainsAny(after[:1], "-abcdefghijklmnopqrstuvwxyz0123456789") {
			return true
		}
		text = after
	}
}

// set gives a flag its value, unless one that goes before has.
func (s *Settings) set(f *pflag.Flag, value, from string) error {
	if _, before := s.from[f.Name]; before {
		return check(f, value)
	}
	if err := s.flags.Set(f.Name, value); err != nil {
		return wrong(f, value)
	}
	s.from[f.Name] = from
	return nil
}

// known are the flags that may be settings, with the names that they have there.
func (s *Settings) known(name func(flag string) string) map[string]*pflag.Flag {
	all := make(map[string]*pflag.Flag)
	s.flags.VisitAll(func(f *pflag.Flag) {
		if !slices.Contains(s.source.Never, f.Name) {
			all[name(f.Name)] = f
		}
	})
	return all
}

// EnvName is a flag's name in the environment.
func (s Source) EnvName(flag string) string {
	return s.Prefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// takeEnvironment sets what the environment, lines of NAME=VALUE, says. A name with our prefix that is
// no flag's is refused: a misspelt one would count for nothing.
func (s *Settings) takeEnvironment(environ []string) error {
	known := s.known(s.source.EnvName)
	var wrongs []error
	for _, line := range slices.Sorted(slices.Values(environ)) {
		name, value, _ := strings.Cut(line, "=")
		if !strings.HasPrefix(name, s.source.Prefix) {
			continue
		}
		f, ok := known[name]
		if !ok {
			wrongs = append(wrongs, fmt.Errorf("$%s: no setting has this name%s", name, nearest(name, known)))
			continue
		}
		if err := s.set(f, value, "$"+name); err != nil {
			wrongs = append(wrongs, fmt.Errorf("$%s: %w", name, err))
		}
	}
	return errors.Join(wrongs...)
}
