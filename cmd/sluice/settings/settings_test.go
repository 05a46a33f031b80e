package settings

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

// newFlags are flags of each type that there is.
func newFlags() *pflag.FlagSet {
	f := pflag.NewFlagSet("test", pflag.ContinueOnError)
	f.SortFlags = false
	f.String(FileFlag, "", "`FILE` of settings")
	f.String("host", "", "`NAME` of the host")
	f.String("vtep", "", "tunnel `ADDRESS`")
	f.StringSlice("peers", []string{"a", "b c"}, "`NAME`s of others")
	f.Bool("gateway", false, "tenants may leave here")
	f.Duration("quarantine", 10*time.Minute, "`TIME` to wait, which is said in a text that is long enough for more than one line of a comment")
	f.String("token", "", "`TOKEN` to join with")
	f.Bool("adopt", false, "once")
	f.Bool("check", false, "a command")
	return f
}

func source(path string) Source {
	return Source{File: path, Prefix: "TEST_", Once: []string{"adopt"}, Secret: []string{"token"}, Never: []string{"check"}}
}

// write makes a file with the text, and returns its path.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// read parses a command line and reads the rest; the answer has FILE for the file's path.
func read(path string, args ...string) (*Settings, *pflag.FlagSet, error) {
	f := newFlags()
	if err := f.Parse(args); err != nil {
		return nil, f, err
	}
	s, err := source(path).Read(f)
	if err != nil && path != "" {
		err = errors.New(strings.ReplaceAll(err.Error(), path, "FILE"))
	}
	return s, f, err
}

// told is each setting that stands somewhere, as NAME=VALUE from PLACE.
func told(s *Settings, path string) (all []string) {
	for _, v := range s.List() {
		if v.From != FromDefault {
			place := v.From
			if path != "" {
				place = strings.ReplaceAll(place, path, "FILE")
			}
			all = append(all, fmt.Sprintf("%s=%s from %s", v.Flag.Name, v.Flag.Value, place))
		}
	}
	return all
}

// A flag goes before the environment, that before the file, that before the default.
func TestPrecedence(t *testing.T) {
	path := write(t, "host: file\nvtep: file\ngateway: true\nquarantine: 1m\n")
	t.Setenv("TEST_HOST", "environment")
	t.Setenv("TEST_VTEP", "environment")
	t.Setenv("TEST_GATEWAY", "false")
	t.Setenv("TESTS_HOST", "not ours")
	s, _, err := read(path, "--host", "flag")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"host=flag from flag", "vtep=environment from $TEST_VTEP", "gateway=false from $TEST_GATEWAY", "quarantine=1m0s from FILE:4",
	}
	if diff := cmp.Diff(want, told(s, path)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestValues(t *testing.T) {
	tests := []struct {
		text string
		want string
	}{
		{"", ""},
		{"# all of it\n#host: h1\n", ""},
		{"---\n", ""},
		{"host: h1", "host=h1 from FILE:1"},
		{"host: 12", "host=12 from FILE:1"},
		{"host: 1.50", "host=1.50 from FILE:1"},
		{"\nhost: \"true\"", "host=true from FILE:2"},
		{"host: ''", "host= from FILE:1"},
		{"vtep: 192.0.2.1 # mine", "vtep=192.0.2.1 from FILE:1"},
		{"vtep: 2001:db8::1", "vtep=2001:db8::1 from FILE:1"},
		{"peers: []", "peers=[] from FILE:1"},
		{"peers: x,y", "peers=[x,y] from FILE:1"},
		{"peers: [x, 'y,z', 'a \"b\"']", `peers=[x,"y,z","a ""b"""] from FILE:1`},
		{"peers:\n- x\n- 7\n", "peers=[x,7] from FILE:1"},
		{"gateway: true", "gateway=true from FILE:1"},
		{"quarantine: 0", "quarantine=0s from FILE:1"},
		{"host: &h h1\nvtep: *h", "host=h1 from FILE:1; vtep=h1 from FILE:2"},
		{"token: \"@/a/file\"", "token=@/a/file from FILE:1"},
		{"token: ''", "token= from FILE:1"},
	}
	for _, test := range tests {
		path := write(t, test.text)
		s, _, err := read(path)
		if err != nil {
			t.Errorf("%q: %v", test.text, err)
			continue
		}
		if got := strings.Join(told(s, path), "; "); got != test.want {
			t.Errorf("%q: %s, not %s", test.text, got, test.want)
		}
	}
}

func TestMistakes(t *testing.T) {
	tests := []struct {
		text string
		says string
	}{
		{"a: b: c", "FILE:1: it is no YAML: mapping values are not allowed in this context"},
		{"host: h1\n\tvtep: x", "FILE:2: it is no YAML: found a tab character that violates indentation"},
		{"host: \"h1", "FILE:1: it is no YAML: found unexpected end of stream"},
		{"host: h1\nvtep: \xff", "FILE:2: it is no text in UTF-8"},
		{"- host", "FILE:1: it must be lines of NAME: VALUE"},
		{"host", "FILE:1: it must be lines of NAME: VALUE"},
		{"host: h1\n---\nvtep: x", "FILE:2: a second document begins here: write all settings in one"},
		{"host: h1\n---\na: b: c", "FILE:3: it is no YAML: mapping values are not allowed in this context"},
		{"gatway: true", `FILE:1: no setting has the name "gatway": did you mean gateway`},
		{"host: h1\nHost: h1", `FILE:2: no setting has the name "Host": did you mean host`},
		{"frobnicate: 1", `FILE:1: no setting has the name "frobnicate"`},
		{"config: /x", `FILE:1: no setting has the name "config"`},
		{"check: true", `FILE:1: no setting has the name "check"`},
		{"host: h1\nvtep: x\nhost: h2", "FILE:3: host stands here and in line 1: keep one of them"},
		{"host:", `FILE:1: host: it has no value: write "" for an empty one, or remove the line`},
		{"host: true", "FILE:1: host: it is no yes or no, and this is true: put it between quotes if you mean the word"},
		{"host: [a]", "FILE:1: host: it takes one value, and this is a list"},
		{"host: {a: b}", "FILE:1: host: it takes a value, and this is a mapping of names to values"},
		{"peers: {a: b}", "FILE:1: peers: it takes a value, and this is a mapping of names to values"},
		{"peers:\n- a\n- [b]", "FILE:1: peers: line 3: an item of the list must be one value"},
		{"peers: '\"a'", "FILE:1: peers: \"\\\"a\" cannot be read"},
		{"gateway: 'true'", `FILE:1: gateway: "true": write true or false, without quotes`},
		{"gateway: yes", `FILE:1: gateway: "yes": write true or false, without quotes`},
		{"gateway: 1", `FILE:1: gateway: "1": write true or false, without quotes`},
		{"quarantine: 10", `FILE:1: quarantine: "10" is no time: write it as 10m, 1h30m or 500ms`},
		{"adopt: true", "FILE:1: adopt is meant for one start, and this would say it at every start: give --adopt, or $TEST_ADOPT for that start"},
		{"token: abc", "FILE:1: token is a secret, and everybody may read this file: chmod o= it"},
		{"gateway: 7\nhost:\n", "FILE:1: gateway: \"7\": write true or false, without quotes\nFILE:2: host: it has no value: write \"\" for an empty one, or remove the line"},
	}
	for _, test := range tests {
		_, _, err := read(write(t, test.text))
		if got := fmt.Sprint(err); got != test.says {
			t.Errorf("%q: %s\nnot: %s", test.text, got, test.says)
		}
	}
}

// A value that does not count, since another goes before it, is looked at all the same.
func TestMistakesUnderOthers(t *testing.T) {
	path := write(t, "quarantine: soon\n")
	_, f, err := read(path, "--quarantine", "5m")
	if want := `FILE:1: quarantine: "soon" is no time: write it as 10m, 1h30m or 500ms`; fmt.Sprint(err) != want {
		t.Errorf("%v, not %s", err, want)
	}
	if got := f.Lookup("quarantine").Value.String(); got != "5m0s" {
		t.Errorf("the flag became %s", got)
	}
	t.Setenv("TEST_GATEWAY", "perhaps")
	_, _, err = read("", "--gateway")
	if want := `$TEST_GATEWAY: "perhaps" is neither true nor false`; fmt.Sprint(err) != want {
		t.Errorf("%v, not %s", err, want)
	}
}

func TestEnvironment(t *testing.T) {
	for name, test := range map[string]struct{ value, want string }{
		"TEST_PEERS":      {"a,b", "peers=[a,b] from $TEST_PEERS"},
		"TEST_GATEWAY":    {"1", "gateway=true from $TEST_GATEWAY"},
		"TEST_HOST":       {"", "host= from $TEST_HOST"},
		"TEST_ADOPT":      {"true", "adopt=true from $TEST_ADOPT"},
		"TEST_TOKEN":      {"abc", "token=abc from $TEST_TOKEN"},
		"TEST_QUARANTINE": {"soon", `$TEST_QUARANTINE: "soon" is no time: write it as 10m, 1h30m or 500ms`},
		"TEST_GATWAY":     {"1", "$TEST_GATWAY: no setting has this name: did you mean TEST_GATEWAY"},
		"TEST_CHECK":      {"1", "$TEST_CHECK: no setting has this name"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, test.value)
			s, _, err := read("")
			got := fmt.Sprint(err)
			if err == nil {
				got = strings.Join(told(s, ""), "; ")
			}
			if got != test.want {
				t.Errorf("%s, not %s", got, test.want)
			}
		})
	}
}

// The default file may be absent, a named one not; none is one that cannot be read.
func TestFiles(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none.yaml")
	other := write(t, "host: other\n")
	if _, _, err := read(none); err != nil {
		t.Errorf("the default file is absent: %v", err)
	}
	if _, _, err := read("", "--config", none); err == nil || !strings.Contains(err.Error(), none+": no such file") {
		t.Errorf("a named file is absent: %v", err)
	}
	if _, _, err := read(t.TempDir()); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("a directory: %v", err)
	}
	if _, f, err := read(write(t, "host: default\n"), "--config", other); err != nil || f.Lookup("host").Value.String() != "other" {
		t.Errorf("another file: %v", err)
	}
	if _, f, err := read(write(t, "host: default\n"), "--config="); err != nil || f.Lookup("host").Value.String() != "" {
		t.Errorf("no file: %v", err)
	}
	t.Setenv("TEST_CONFIG", other)
	if _, f, err := read(none); err != nil || f.Lookup("host").Value.String() != "other" {
		t.Errorf("another file by the environment: %v", err)
	}
}

// A secret may stand in a file that its owner and group alone read.
func TestSecrets(t *testing.T) {
	path := write(t, "token: abc\n")
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	s, f, err := read(path)
	if err != nil || f.Lookup("token").Value.String() != "abc" {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := s.Write(&b); err != nil || strings.Contains(b.String(), "abc") || !strings.Contains(b.String(), "token: (not shown) # "+path) {
		t.Errorf("it shows %v\n%s", err, &b)
	}
	for _, mode := range []os.FileMode{0o644, 0o642, 0o641} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, _, err := read(path); err == nil {
			t.Errorf("mode %o is taken", mode)
		}
	}
}

// What is written reads back as the same.
func TestWrite(t *testing.T) {
	path := write(t, "host: \"true\"\npeers: ['a,b', c]\n")
	s, f, err := read(path, "--gateway")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := s.Write(&b); err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll(`host: "true" # FILE:1
vtep: "" # default
peers: ['a,b', c] # FILE:2
gateway: true # flag
quarantine: 10m0s # default
token: "" # default
`, "FILE", path)
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	_, again, err := read(write(t, b.String()))
	if err != nil {
		t.Fatal(err)
	}
	f.VisitAll(func(one *pflag.Flag) {
		if got := again.Lookup(one.Name).Value.String(); got != one.Value.String() {
			t.Errorf("%s: %s reads back as %s", one.Name, one.Value, got)
		}
	})
}

func TestTemplate(t *testing.T) {
	text, err := source("/etc/x.yaml").Template("sluice test", newFlags())
	if err != nil {
		t.Fatal(err)
	}
	want := `# Settings of sluice test: each is one of its flags, under the same name. A flag goes before
# the environment (TEST_LOG_LEVEL), the environment before this file. Remove the # of what you set.
# sluice test --print-config says what each setting is, and where it stands.

# NAME of the host
#host: ""

# tunnel ADDRESS
#vtep: ""

# NAMEs of others
#peers: [a, b c]

# tenants may leave here
#gateway: false

# TIME to wait, which is said in a text that is long enough for more than one line of a comment
#quarantine: 10m0s

# TOKEN to join with
#token: ""
`
	if diff := cmp.Diff(want, text); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// An error about a flag says where its value stands.
func TestExplain(t *testing.T) {
	path := write(t, "vtep: x\npeers: [a]\n")
	s, _, err := read(path, "--host", "h1")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		`--vtep "x": no`:        `--vtep "x": no (vtep stands in FILE:1)`,
		`see --vtep`:            `see --vtep (vtep stands in FILE:1)`,
		`--vtep-name "x": no`:   `--vtep-name "x": no`,
		`--vtep2, --vtep: no`:   `--vtep2, --vtep: no (vtep stands in FILE:1)`,
		`--vtep, --peers: no`:   `--vtep, --peers: no (vtep stands in FILE:1, peers stands in FILE:2)`,
		`--host h1: no`:         `--host h1: no`,
		`--quarantine: no`:      `--quarantine: no`,
		`something else failed`: `something else failed`,
	} {
		err := errors.New(text)
		got := s.Explain(err)
		if strings.ReplaceAll(got.Error(), path, "FILE") != want || !errors.Is(got, err) {
			t.Errorf("%s: %v, not %s", text, got, want)
		}
	}
	if s.Explain(nil) != nil {
		t.Error("nothing is an error")
	}
}
