package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/cmd/sluice/settings"
)

// TestMain keeps the settings of this machine's own Sluice out of the tests.
func TestMain(m *testing.M) {
	for _, s := range []settings.Source{controllerSettings, agentSettings} {
		must(os.Setenv(s.EnvName(settings.FileFlag), ""))
	}
	os.Exit(m.Run())
}

// TestDocsOfSettings keeps the configuration files of the package as they are generated from the flags.
func TestDocsOfSettings(t *testing.T) {
	for name, source := range map[string]settings.Source{"controller": controllerSettings, "agent": agentSettings} {
		cmd, _, err := newRoot().Find([]string{name})
		if err != nil {
			t.Fatal(err)
		}
		text, err := source.Template("sluice "+name, cmd.Flags())
		if err != nil {
			t.Fatal(err)
		}
		checkGolden(t, filepath.Join("..", "..", "packaging", filepath.Base(source.File)), []byte(text))
	}
}

// settingsFile writes a configuration file.
func settingsFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "agent.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPrintConfig(t *testing.T) {
	path := settingsFile(t, "vtep: 192.0.2.21\nhost: h1\njoin: secret\ncontrollers:\n- ssl:192.0.2.1:6653\n- ssl:192.0.2.2:6653\n")
	t.Setenv("SLUICE_AGENT_LOG_LEVEL", "debug")
	got := done(t, "agent", "--config", path, "--host", "h2", "--print-config")
	for _, line := range []string{
		"controllers: ['ssl:192.0.2.1:6653', 'ssl:192.0.2.2:6653'] # " + path + ":4", "host: h2 # flag", "join: (not shown) # " + path + ":3",
		"log-level: debug # $SLUICE_AGENT_LOG_LEVEL", "vtep: 192.0.2.21 # " + path + ":1", "encap: vxlan # default",
	} {
		if !strings.Contains(got, line+"\n") {
			t.Errorf("no line %q in\n%s", line, got)
		}
	}
	for _, word := range []string{"adopt", "check", "help", "config"} {
		if strings.Contains(got, "\n"+word) {
			t.Errorf("%s is no setting:\n%s", word, got)
		}
	}
	if got := done(t, "controller", "--print-config"); !strings.Contains(got, "audit-interval: 1m0s # default\n") {
		t.Errorf("a controller's: %s", got)
	}
}

func TestWrongSettings(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none.yaml")
	tests := []struct {
		part, text, says string
		status           int
	}{
		{"agent", "vtep: x\nhost: h1\ngatway: true", `agent.yaml:3: no setting has the name "gatway": did you mean gateway: see sluice agent --help`, statusUsage},
		{"agent", "vtep: x\ncontrollers: tcp:127.0.0.1:1\netcd-endpoints: [http://127.0.0.1:1]\nhost: h1", `--vtep "x": write it as 192.0.2.21 (vtep stands in `, statusUsage},
		{"agent", "etcd-password: x", `no setting has the name "etcd-password"`, statusUsage},
		{"agent", "adopt: true", "adopt is meant for one start", statusUsage},
		{"controller", "audit-interval: soon\nname: [c1]", `agent.yaml:1: audit-interval: "soon" is no time: write it as 10m, 1h30m or 500ms; `, statusUsage},
		{"controller", "name: a/b", "agent.yaml:1)", statusUsage},
		{"controller", "etcd-cert: x", "[etcd-cert etcd-key]", statusUsage},
	}
	for _, test := range tests {
		got := sluice(t, test.part, "--config", settingsFile(t, test.text))
		if got.status != test.status {
			t.Errorf("%q: status %d, not %d", test.text, got.status, test.status)
		}
		checkOneLine(t, got, test.says)
	}
	got := sluice(t, "controller", "--config", none)
	if got.status != statusFailed {
		t.Errorf("no such file: status %d", got.status)
	}
	checkOneLine(t, got, none+": no such file")
	t.Setenv("SLUICE_CONTROLLER_NAM", "c1")
	checkOneLine(t, sluice(t, "controller"), "$SLUICE_CONTROLLER_NAM: no setting has this name: did you mean SLUICE_CONTROLLER_NAME")
}

// A certificate that the file names must be there, as one that a flag names.
func TestSettingsCountAsGiven(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	got := sluice(t, "controller", "--config", settingsFile(t, "name: c1\npki: "+dir))
	if got.status != statusFailed || !strings.Contains(got.err, "make it with sluice pki issue controller c1") {
		t.Errorf("status %d: %s", got.status, got.err)
	}
}
