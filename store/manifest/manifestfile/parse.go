package manifestfile

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
	"go.yaml.in/yaml/v3"

	"sluice/store/manifest"
)

// Place is where something stands in a file, from 1.
type Place struct{ Line, Column int }

// Places are the places of what a manifest says, by their path.
type Places map[string]Place

// Of is the place of a path, or of what holds it.
func (p Places) Of(path string) Place {
	for {
		if at, ok := p[path]; ok || path == "" {
			return at
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
}

// Parse reads a manifest of YAML or JSON, and where each part of it stands. What it does not know, and what
// has the wrong form, is refused with its place: FILE:LINE:COLUMN.
func Parse(file string, text []byte) (*manifest.Manifest, Places, error) {
	p := parser{file: file, places: Places{}}
	top, err := p.document(text)
	if err != nil {
		return nil, nil, err
	}
	m := &manifest.Manifest{}
	if top == nil {
		return m, p.places, nil
	}
	if err := p.value(top, "", reflect.ValueOf(m).Elem()); err != nil {
		return nil, nil, err
	}
	return m, p.places, nil
}

// parser reads one file.
type parser struct {
	file   string
	places Places
}

// lineOf is how the library says where a file is no YAML.
var lineOf = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// document is the top of the only document; nil: the file is empty.
func (p *parser) document(text []byte) (*yaml.Node, error) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	var document, second yaml.Node
	err := d.Decode(&document)
	switch {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err == nil:
		if err = d.Decode(&second); err == nil {
			return nil, p.wrong(&second, "a second document begins here: write all in one")
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		if parts := lineOf.FindStringSubmatch(err.Error()); parts != nil {
			return nil, fmt.Errorf("%s:%s:1: it is no YAML: %s", p.file, cmp.Or(parts[1], "1"), parts[2])
		}
		return nil, fmt.Errorf("%s: %w", p.file, err)
	}
	if top := document.Content[0]; top.Tag != "!!null" {
		return top, nil
	}
	return nil, nil
}

func (p *parser) wrong(at *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("%s:%d:%d: %s", p.file, at.Line, at.Column, fmt.Sprintf(format, args...))
}

// value reads a node into a value of one of the manifest's types.
func (p *parser) value(n *yaml.Node, path string, v reflect.Value) error {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	p.places[path] = Place{n.Line, n.Column}
	switch v.Kind() {
	case reflect.Struct:
		return p.object(n, path, v)
	case reflect.Map:
		return p.words(n, path, v)
	case reflect.Slice:
		return p.list(n, path, v)
	}
	return p.scalar(n, path, v)
}

// object reads a mapping of the names of a struct's fields in JSON.
func (p *parser) object(n *yaml.Node, path string, v reflect.Value) error {
	if n.Kind != yaml.MappingNode {
		return p.wrong(n, "%smust be lines of NAME: VALUE", subject(path))
	}
	fields := fieldsOf(v.Type())
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		at := slices.IndexFunc(fields, func(f string) bool { return f == key.Value })
		switch first, again := seen[key.Value]; {
		case at < 0:
			return p.wrong(key, "%shas no field %q%s", subject(path), key.Value, nearest(key.Value, fields))
		case again:
			return p.wrong(key, "%s stands here and in line %d: keep one of them", key.Value, first)
		}
		seen[key.Value] = key.Line
		if err := p.value(n.Content[i+1], join(path, key.Value), v.Field(at)); err != nil {
			return err
		}
	}
	return nil
}

// subject begins a sentence about a path.
func subject(path string) string {
	if path == "" {
		return "a manifest "
	}
	return path + " "
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// fieldsOf are the names of a struct's fields in JSON, in their order.
func fieldsOf(t reflect.Type) (names []string) {
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

// furthest is how far a name may be from what was meant.
const furthest = 3

// nearest suggests the name that may have been meant.
func nearest(name string, known []string) string {
	best, least := "", furthest+1
	for _, other := range known {
		if d := levenshtein.Distance(strings.ToLower(name), strings.ToLower(other), nil); d < least {
			best, least = other, d
		}
	}
	if best == "" {
		return ": it may have " + strings.Join(known, ", ")
	}
	return ": did you mean " + best + "?"
}

// words reads a mapping of names to texts.
func (p *parser) words(n *yaml.Node, path string, v reflect.Value) error {
	if n.Kind != yaml.MappingNode {
		return p.wrong(n, "%smust be lines of NAME: VALUE", subject(path))
	}
	all := reflect.MakeMap(v.Type())
	for i := 0; i+1 < len(n.Content); i += 2 {
		one := reflect.New(v.Type().Elem()).Elem()
		if err := p.value(n.Content[i+1], join(path, n.Content[i].Value), one); err != nil {
			return err
		}
		all.SetMapIndex(reflect.ValueOf(n.Content[i].Value).Convert(v.Type().Key()), one)
	}
	v.Set(all)
	return nil
}

func (p *parser) list(n *yaml.Node, path string, v reflect.Value) error {
	if n.Kind != yaml.SequenceNode {
		return p.wrong(n, "%smust be a list: write each item behind a dash", subject(path))
	}
	for i, item := range n.Content {
		one := reflect.New(v.Type().Elem()).Elem()
		if err := p.value(item, fmt.Sprintf("%s[%d]", path, i), one); err != nil {
			return err
		}
		v.Set(reflect.Append(v, one))
	}
	return nil
}

// scalar reads a word or a number. What looks like another type than it must be is more likely a mistake.
func (p *parser) scalar(n *yaml.Node, path string, v reflect.Value) error {
	isText := v.Kind() == reflect.String
	switch {
	case n.Kind != yaml.ScalarNode:
		return p.wrong(n, "%smust be one value", subject(path))
	case n.Tag == "!!null":
		return p.wrong(n, "%shas no value: write one, or remove the line", subject(path))
	case isText && n.Tag != "!!str":
		return p.wrong(n, "%smust be a word, and %s is none: put it between quotes if you mean it", subject(path), n.Value)
	case v.Kind() == reflect.Bool && n.Tag != "!!bool":
		return p.wrong(n, "%smust be true or false, and %q is neither", subject(path), n.Value)
	case v.Kind() == reflect.Bool:
		v.SetBool(strings.EqualFold(n.Value, "true"))
		return nil
	case !isText && n.Tag != "!!int":
		return p.wrong(n, "%smust be a whole number, and %q is none", subject(path), n.Value)
	}
	if err := n.Decode(v.Addr().Interface()); err != nil {
		return p.wrong(n, "%smust be a whole number that is not too great, and %s is none", subject(path), n.Value)
	}
	return nil
}
