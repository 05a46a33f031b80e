// Package packaging holds what the Debian package is made of beside the programs. Its tests build it and
// look at each part; scripts/debcheck installs it.
package packaging

import (
	"bytes"
	"compress/gzip"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/golden"
)

var update = flag.Bool("update", false, "write the golden files anew")

// run runs a program and returns what it says.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := told(t, name, args...)
	return out + err
}

// told runs a program and returns what it writes to its standard output and standard error.
func told(t *testing.T, name string, args ...string) (string, string) {
	t.Helper()
	var out, err bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &out, &err
	cmd.Env = append(os.Environ(), "VERSION=9.9.9", "SOURCE_DATE_EPOCH=1000000000", "SYSTEMD_LOG_LEVEL=warning")
	if failed := cmd.Run(); failed != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), failed, &out, &err)
	}
	return out.String(), err.String()
}

// build makes the package, and unpacks it to a directory.
func build(t *testing.T) (deb, root string) {
	t.Helper()
	if testing.Short() {
		t.Skip("it builds all programs anew")
	}
	path, _ := told(t, "../scripts/deb", t.TempDir()) // go tells on standard error what it downloads
	deb = strings.TrimSpace(path)
	root = t.TempDir()
	run(t, "dpkg-deb", "-x", deb, root)
	return deb, root
}

func TestPackage(t *testing.T) {
	deb, root := build(t)
	t.Run("contents", func(t *testing.T) { checkContents(t, deb) })
	t.Run("version", func(t *testing.T) {
		if got := run(t, root+"/usr/bin/sluice", "version"); got != "sluice 9.9.9\n" {
			t.Errorf("it says %q", got)
		}
	})
	t.Run("settings", func(t *testing.T) { checkSettings(t, root, "controller"); checkSettings(t, root, "agent") })
	t.Run("units", func(t *testing.T) { checkUnits(t, root) })
	t.Run("manual", func(t *testing.T) { checkManual(t, root) })
	t.Run("completion", func(t *testing.T) { run(t, "bash", "-n", root+"/usr/share/bash-completion/completions/sluice") })
}

// times are of files in a listing, sizes change with each version.
var (
	times   = regexp.MustCompile(`(?m) +\d+ \d{4}-\d\d-\d\d \d\d:\d\d `)
	pages   = regexp.MustCompile(`(?m)^.*/man1/sluice-.*\n`)
	numbers = regexp.MustCompile(`(?m)^Installed-Size: .*\n`)
)

// checkContents compares control fields, configuration files and the list of files with a golden file.
func checkContents(t *testing.T, deb string) {
	list := times.ReplaceAllString(run(t, "dpkg-deb", "-c", deb), " ")
	if n := len(pages.FindAllString(list, -1)); n < 50 {
		t.Errorf("only %d man pages", n)
	}
	got := numbers.ReplaceAllString(run(t, "dpkg-deb", "-f", deb), "") + "\n" +
		run(t, "dpkg-deb", "-I", deb, "conffiles") + "\n" + pages.ReplaceAllString(list, "")
	got = strings.ReplaceAll(got, run(t, "dpkg", "--print-architecture"), "ARCH\n")
	golden.Check(t, "testdata/contents.txt", []byte(got), *update)
}

// checkSettings looks at a configuration file: it sets nothing, and each line that somebody may want
// is right once its # is gone.
func checkSettings(t *testing.T, root, part string) {
	file := filepath.Join(root, "etc/sluice", part+".yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	shown := func(path string) string {
		return run(t, root+"/usr/bin/sluice", part, "--config", path, "--print-config")
	}
	defaults := shown("")
	if got := shown(file); got != defaults {
		t.Errorf("%s: it sets something:\n%s", file, cmp.Diff(defaults, got))
	}
	all := filepath.Join(t.TempDir(), part+".yaml")
	line := regexp.MustCompile(`(?m)^#([a-z])`)
	if err := os.WriteFile(all, line.ReplaceAll(text, []byte("$1")), 0o600); err != nil {
		t.Fatal(err)
	}
	from := regexp.MustCompile(`(?m) # .*$`)
	if got := shown(all); from.ReplaceAllString(got, "") != from.ReplaceAllString(defaults, "") || strings.Contains(got, "# default") {
		t.Errorf("%s: with all settings it says\n%s", file, got)
	}
}

// checkUnits has systemd judge both units, among the units of this machine.
func checkUnits(t *testing.T, root string) {
	units := root + "/lib/systemd/system"
	run(t, "cp", "--archive", "--no-clobber", "/lib/systemd/system/.", units)
	for unit, most := range map[string]string{"sluice-controller.service": "15", "sluice-agent.service": "40"} { // tenths of 10.0, the worst
		if got := run(t, "systemd-analyze", "verify", "--root", root, "--man=no", "--generators=no", unit); got != "" {
			t.Errorf("%s: %s", unit, got)
		}
		run(t, "systemd-analyze", "security", "--offline=true", "--root", root, "--threshold", most, unit)
	}
	for _, file := range []string{"postinst", "prerm", "postrm"} {
		run(t, "sh", "-n", file)
	}
}

// checkManual reads the page of the agent, and the list of all.
func checkManual(t *testing.T, root string) {
	dir := root + "/usr/share/man/man1"
	f, err := os.Open(dir + "/sluice-agent.1.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil || !bytes.Contains(text, []byte("vtep")) || !bytes.Contains(text, []byte("SLUICE_AGENT_VTEP")) {
		t.Errorf("the agent's page: %v\n%s", err, text)
	}
	files, err := filepath.Glob(dir + "/*")
	if err != nil || !slices.Contains(files, dir+"/sluice-tenant-create.1.gz") || slices.Contains(files, dir+"/sluice-bench-part.1.gz") {
		t.Errorf("pages: %v %v", files, err)
	}
}
