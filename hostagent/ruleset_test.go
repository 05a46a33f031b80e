package hostagent

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

func prefixes(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, s := range texts {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

func TestRuleset(t *testing.T) {
	closed := prefixes("172.30.0.0/24", "10.255.0.0/16", "10.255.3.0/24", "192.0.2.7/32", "fd00::/8", "172.30.0.1/24")
	for _, c := range []struct {
		name    string
		gateway bool
	}{
		{"gateway", true},
		{"host", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			golden(t, "ruleset-"+c.name+".nft", ruleset{c.gateway, closed}.text())
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (run with -update to accept): -want +got\n%s", path, diff)
	}
}

func TestOutermost(t *testing.T) {
	got := outermost(prefixes("10.1.0.0/16", "10.0.0.5/8", "192.0.2.0/24", "10.2.3.4/32", "192.0.2.0/25", "fd00::1/64"))
	want := prefixes("10.0.0.0/8", "192.0.2.0/24", "fd00::/64")
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestControllersAreInfrastructure(t *testing.T) {
	got := controllerPrefixes([]string{"tcp:192.0.2.1:6653", "ssl:[2001:db8::1]:6653", "tcp:127.0.0.1:6653", "unix:/run/x.sock", "ptcp:6653"})
	want := prefixes("192.0.2.1/32", "2001:db8::1/128")
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
