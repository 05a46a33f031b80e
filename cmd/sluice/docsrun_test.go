package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// prompted is a command of a page with the machine on which it is typed.
var prompted = regexp.MustCompile(`(?m)^(\w+)\$ sluice (pki .*)$`)

// TestDocumentedJoining types what docs/operations.md shows of certificates, each line on its machine:
// afterwards host, controller and person have what they need.
func TestDocumentedJoining(t *testing.T) {
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	t.Chdir(root) // what travels lies here
	at := func(machine, line string) {
		t.Helper()
		done(t, append(strings.Fields(line), "--pki", filepath.Join(root, machine))...)
	}
	at("c1", "pki init")
	at("c1", "pki issue controller c1")
	for _, typed := range prompted.FindAllStringSubmatch(string(page), -1) {
		at(typed[1], typed[2])
	}
	for machine, has := range map[string]string{"h1": "host:h1", "c2": "controller:c2", "p1": "person:alice"} {
		list := shown(t, filepath.Join(root, machine))
		if !slices.ContainsFunc(list, func(c certificate) bool { return c.Identity == has && c.State == "good" }) {
			t.Errorf("%s has %+v, and not %s", machine, list, has)
		}
		if has == "controller:c2" && !slices.ContainsFunc(list, func(c certificate) bool { return slices.Equal(c.Names, []string{"c2.example", "192.0.2.2"}) }) {
			t.Errorf("c2's certificate is for other names: %+v", list)
		}
	}
}
