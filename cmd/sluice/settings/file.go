package settings

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"unicode/utf8"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// file is what a configuration file says, and who may read it.
type file struct {
	lines *yaml.Node // a mapping; nil: none
	mode  fs.FileMode
}

// readFile reads a file, which must be there where it was named.
func readFile(path string, named bool) (file, error) {
	if path == "" {
		return file{}, nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return file{}, nil
	}
	if err != nil {
		return file{}, fmt.Errorf("read the configuration: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return file{}, fmt.Errorf("read the configuration: %w", err)
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return file{}, fmt.Errorf("read the configuration: %w", err)
	}
	lines, err := parse(path, text)
	return file{lines, info.Mode()}, err
}

// lineOf is how the library says where a file is no YAML.
var lineOf = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// parse reads YAML: one mapping, or nothing.
func parse(path string, text []byte) (*yaml.Node, error) {
	for i, line := range bytes.Split(text, []byte("\n")) {
		if !utf8.Valid(line) {
			return nil, fmt.Errorf("%s:%d: it is no text in UTF-8", path, i+1)
		}
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	var document, second yaml.Node
	err := d.Decode(&document)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err == nil {
		switch err := d.Decode(&second); {
		case err == nil:
			return nil, fmt.Errorf("%s:%d: a second document begins here: write all settings in one", path, second.Line)
		case !errors.Is(err, io.EOF):
			return nil, noYAML(path, err)
		}
	}
	if err != nil {
		return nil, noYAML(path, err)
	}
	top := document.Content[0]
	switch {
	case top.Kind == yaml.ScalarNode && top.Tag == "!!null":
		return nil, nil
	case top.Kind != yaml.MappingNode:
		return nil, fmt.Errorf("%s:%d: it must be lines of NAME: VALUE", path, top.Line)
	}
	return top, nil
}

func noYAML(path string, err error) error {
	parts := lineOf.FindStringSubmatch(err.Error())
	if parts == nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return fmt.Errorf("%s:%s: it is no YAML: %s", path, cmp.Or(parts[1], "1"), parts[2]) // it leaves the first line out
}

// takeFile sets what the file says, and tells all that is wrong with it at once.
func (s *Settings) takeFile(path string, from file) error {
	if from.lines == nil {
		return nil
	}
	known := s.known(func(flag string) string { return flag })
	delete(known, FileFlag)
	seen := make(map[string]int)
	var wrongs []error
	for i := 0; i < len(from.lines.Content); i += 2 {
		key, value := from.lines.Content[i], from.lines.Content[i+1]
		place := fmt.Sprintf("%s:%d", path, key.Line)
		err := s.takeLine(known, key, value, place, from.mode)
		if first, again := seen[key.Value]; again {
			err = fmt.Errorf("%s stands here and in line %d: keep one of them", key.Value, first)
		}
		seen[key.Value] = key.Line
		if err != nil {
			wrongs = append(wrongs, fmt.Errorf("%s: %w", place, err))
		}
	}
	return errors.Join(wrongs...)
}

// takeLine sets what one line of the file says.
func (s *Settings) takeLine(known map[string]*pflag.Flag, key, value *yaml.Node, place string, mode fs.FileMode) error {
	f, ok := known[key.Value]
	switch {
	case !ok:
		return fmt.Errorf("no setting has the name %q%s", key.Value, nearest(key.Value, known))
	case slices.Contains(s.source.Once, f.Name):
		return fmt.Errorf("%s is meant for one start, and this would say it at every start: give --%s, or $%s for that start", f.Name, f.Name, s.source.EnvName(f.Name))
	case s.isSecret(f, value.Value) && mode.Perm()&0o007 != 0:
		return fmt.Errorf("%s is a secret, and everybody may read this file: chmod o= it", f.Name)
	}
	text, err := textOf(f, value)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	if err := s.set(f, text, place); err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	return nil
}

// textOf is a value as the command line would take it.
func textOf(f *pflag.Flag, value *yaml.Node) (string, error) {
	if value.Kind == yaml.AliasNode {
		value = value.Alias
	}
	switch {
	case value.Kind == yaml.ScalarNode:
		return scalar(f, value)
	case value.Kind == yaml.SequenceNode && isList(f):
		var all []string
		for _, item := range value.Content {
			text, err := scalar(f, item)
			if err != nil {
				return "", fmt.Errorf("line %d: %w", item.Line, err)
			}
			all = append(all, text)
		}
		return commas(all)
	case value.Kind == yaml.SequenceNode:
		return "", errors.New("it takes one value, and this is a list")
	}
	return "", errors.New("it takes a value, and this is a mapping of names to values")
}

// scalar is one value. Whether it is true, a number or a word is for the flag to say, but what looks
// like nothing or like true where a word belongs is more likely a mistake.
func scalar(f *pflag.Flag, value *yaml.Node) (string, error) {
	isBool := f.Value.Type() == "bool"
	switch {
	case value.Kind != yaml.ScalarNode:
		return "", errors.New("an item of the list must be one value")
	case value.Tag == "!!null":
		return "", errors.New(`it has no value: write "" for an empty one, or remove the line`)
	case isBool && value.Tag != "!!bool":
		return "", fmt.Errorf("%q: write true or false, without quotes", value.Value)
	case !isBool && value.Tag == "!!bool":
		return "", fmt.Errorf("it is no yes or no, and this is %s: put it between quotes if you mean the word", value.Value)
	}
	return value.Value, nil
}
