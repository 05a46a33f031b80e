package settings

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// Write writes all settings as a configuration file that says the same, with the place of each.
func (s *Settings) Write(w io.Writer) error {
	for _, setting := range s.List() {
		if setting.From == FromDefault && slices.Contains(s.source.Once, setting.Flag.Name) {
			continue
		}
		value, err := inFile(setting.Flag)
		if s.isSecret(setting.Flag, setting.Flag.Value.String()) {
			value = "(not shown)"
		}
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%s: %s # %s\n", setting.Flag.Name, value, setting.From); err != nil {
			return err
		}
	}
	return nil
}

// Template is a configuration file of a command with all settings as comments: what each is about, and
// its default.
func (s Source) Template(command string, flags *pflag.FlagSet) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, `# Settings of %[1]s: each is one of its flags, under the same name. A flag goes before
# the environment (%[2]s), the environment before this file. Remove the # of what you set.
# %[1]s --print-config says what each setting is, and where it stands.
`, command, s.EnvName("log-level"))
	all := &Settings{source: s, flags: flags}
	for _, setting := range all.List() {
		f := setting.Flag
		if slices.Contains(s.Once, f.Name) {
			continue
		}
		value, err := inFile(f)
		if err != nil {
			return "", err
		}
		_, usage := pflag.UnquoteUsage(f)
		fmt.Fprintf(&b, "\n%s\n#%s: %s\n", comment(usage), f.Name, value)
	}
	return b.String(), nil
}

// width is how long a line of a comment may be.
const width = 100

// comment breaks a text into lines that begin with #.
func comment(text string) string {
	var lines []string
	line := "#"
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > width {
			lines, line = append(lines, line), "#"
		}
		line += " " + word
	}
	return strings.Join(append(lines, line), "\n")
}

// inFile is a flag's value as a file has it.
func inFile(f *pflag.Flag) (string, error) {
	node := &yaml.Node{Kind: yaml.ScalarNode, Value: f.Value.String(), Tag: "!!str"}
	switch list, ok := f.Value.(pflag.SliceValue); {
	case ok:
		node = &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, item := range list.GetSlice() {
			node.Content = append(node.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: item, Tag: "!!str"})
		}
	case f.Value.Type() == "bool":
		node.Tag = "!!bool"
	}
	text, err := yaml.Marshal(node)
	return strings.TrimSpace(string(text)), err
}
