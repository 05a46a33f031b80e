package store

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What a host may do, as etcd is told it.
func TestGrants(t *testing.T) {
	for _, tc := range []struct {
		whose string
		list  []Grant
		want  string
	}{
		{"every host", GrantsToHosts(), `
			w  alloc/datapath-ids/
			w  alloc/vteps/
			w  alloc/ports/
			w  alloc/port-numbers/
			w  alloc/macs/
			w  alloc/addresses/
			r  schema/
			r  settings/
			r  tenants/
			r  networks/
			r  hosts/
			r  ports/
			r  gateways/
			r  published/
			r  masters/
			r  live/hosts/
			r  live/controllers/
			r  status/hosts/
			r  status/controllers/
			r  alloc/
			r  identity/
			r  chain/
			r  stamps/`},
		{"h1", GrantsToHost("h1"), `
			w  hosts/h1
			w  ports/h1/
			rw stickies/h1/
			w  live/hosts/h1
			rw usage/h1
			rw emptied/h1
			rw witnesses/hosts/h1
			rw requests/h1
			rw words/h1
			rw farewells/h1`},
	} {
		if diff := cmp.Diff(strings.ReplaceAll(tc.want, "\n\t\t\t", "\n")[1:], written(tc.list)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.whose, diff)
		}
	}
}

func written(list []Grant) string {
	var lines []string
	for _, g := range list {
		may := "r "
		switch {
		case g.Read && g.Write:
			may = "rw"
		case g.Write:
			may = "w "
		}
		lines = append(lines, may+" "+strings.TrimPrefix(g.Path, Prefix))
	}
	return strings.Join(lines, "\n")
}

// A description's words for people say the same as what etcd is told.
func TestGrantsAreWhatTheDescriptionsSay(t *testing.T) {
	for _, d := range kinds {
		f := d.about()
		agentReads := strings.Contains(f.reader, "agent") || strings.Contains(f.reader, "who writes an object")
		agentWrites := strings.Contains(f.writer, "agent") || strings.Contains(f.writer, "who writes the owner")
		if agentReads != (f.hostReads != noObjects) {
			t.Errorf("kind %s: it is read by %q, and a host's agent may read %q", d.kind(), f.reader, f.hostReads)
		}
		if agentWrites != (f.hostWrites != noObjects) {
			t.Errorf("kind %s: it is written by %q, and a host's agent may write %q", d.kind(), f.writer, f.hostWrites)
		}
		if f.hostWrites == allObjects {
			t.Errorf("kind %s: a host may write what is of others: put the host first in its key", d.kind())
		}
		if (f.hostReads == ownObjects || f.hostWrites == ownObjects) && f.parts[0] != partHost {
			t.Errorf("kind %s: no key of it begins with a host: a host can have none of its own", d.kind())
		}
	}
}

// One host's paths hold no key of another whose name begins alike.
func TestGrantsToOneHostAlone(t *testing.T) {
	for _, g := range GrantsToHost("h1") {
		for _, other := range GrantsToHost("h10") {
			if strings.HasSuffix(g.Path, "/") && strings.HasPrefix(other.Path, g.Path) || g.Path == other.Path {
				t.Errorf("%s of h1 holds %s of h10", g.Path, other.Path)
			}
		}
	}
}

func TestHostMayWrite(t *testing.T) {
	for path, want := range map[string]bool{
		"hosts/h1": true, "ports/h1/alice/default/a1": true, "live/hosts/h1": true, "alloc/addresses/alice/default/10.0.0.5": true,
		"alloc/port-numbers/7": true, "alloc/tenant-numbers/7": false, "alloc/network-numbers/7": false, "alloc/vlans/7": false, "alloc/x": false,
		"hosts/h10": false, "hosts/h1/x": false, "ports/h10/alice/default/a1": false, "ports/h1": false, "live/hosts/h2": false,
		"tenants/alice": false, "masters/h1": false, "status/hosts/h1": false, "enrolled/h1": false, "elections/leader/1": false, "": false,
	} {
		if got := HostMayWrite("h1", Prefix+path); got != want {
			t.Errorf("h1 may write %s: %v", path, got)
		}
	}
}
