// Package document reads golden files: what stands in etcd and on the switches above a line of
// equals signs, and below it what is made of them. Only tests use it.
package document

import (
	"fmt"
	"os"
	"strings"

	"sluice/store"
)

// Below divides a document.
const Below = "\n================================"

// Document is what stands above the line.
type Document struct {
	Input    string // as it stands in the file
	State    *store.State
	Switches []Switch
}

// Switch is a line switch/HOST: the OpenFlow numbers of a host's interfaces.
type Switch struct {
	Host   string
	OFPort map[string]uint32
}

// Read reads a document. whole is all of its text.
func Read(path string) (d Document, whole string, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return d, "", err
	}
	input, _, _ := strings.Cut(string(text), Below)
	d = Document{Input: strings.TrimRight(input, "\n") + "\n", State: store.NewState()}
	for i, line := range strings.Split(input, "\n") {
		if err := d.line(line, store.Revision(i+1)); err != nil {
			return d, "", fmt.Errorf("%s:%d: %w", path, i+1, err)
		}
	}
	return d, string(text), nil
}

// line takes one line: a comment, a switch, or a key of etcd and its value.
func (d *Document) line(line string, revision store.Revision) error {
	name, value, _ := strings.Cut(line, " ")
	if name == "" || name == "#" {
		return nil
	}
	if host, ok := strings.CutPrefix(name, "switch/"); ok {
		ports, err := ofports(value)
		d.Switches = append(d.Switches, Switch{Host: host, OFPort: ports})
		return err
	}
	key, err := store.ParseKey(store.Prefix + name)
	if err != nil {
		return err
	}
	object, err := store.Decode(key, []byte(value))
	if err != nil {
		return err
	}
	d.State.Apply(store.Batch{Revision: revision, Events: []store.Event{
		{Key: key, Object: object, Created: revision, Modified: revision}}})
	return nil
}

// ofports reads INTERFACE=NUMBER ...
func ofports(text string) (map[string]uint32, error) {
	ports := map[string]uint32{}
	for _, port := range strings.Fields(text) {
		iface, number, _ := strings.Cut(port, "=")
		var n uint32
		if _, err := fmt.Sscan(number, &n); err != nil {
			return nil, fmt.Errorf("%q: %w", port, err)
		}
		ports[iface] = n
	}
	return ports, nil
}
