package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/pki"
)

// done runs the program and fails where it does.
func done(t *testing.T, args ...string) string {
	t.Helper()
	r := sluice(t, args...)
	if r.status != statusDone {
		t.Fatalf("sluice %s: %s", strings.Join(args, " "), r.err)
	}
	return r.out
}

// TestPKI makes an authority on one machine and certificates on two, and renews them.
func TestPKI(t *testing.T) {
	here, there := filepath.Join(t.TempDir(), "pki"), filepath.Join(t.TempDir(), "pki")
	at := func(dir string, args ...string) {
		t.Helper()
		done(t, append(append([]string{"pki"}, args...), "--pki", dir)...)
	}
	at(here, "init")
	at(here, "issue", "controller", "c1", "--names", "192.0.2.1,c1.example", "--days", "30")

	request, answer := filepath.Join(t.TempDir(), "h1.csr"), filepath.Join(t.TempDir(), "h1.crt")
	at(there, "request", "host", "h1", "--out", request)
	at(here, "sign", "host", "h1", request, "--out", answer)
	for _, travels := range []string{request, answer} {
		text, err := os.ReadFile(travels)
		if err != nil || strings.Contains(string(text), "PRIVATE") {
			t.Errorf("%s travels: %v\n%s", travels, err, text)
		}
	}
	at(there, "accept", "host", "h1", answer)

	before := shown(t, here)
	want := []certificate{
		{Identity: "sluice authority " + day(time.Now()), State: "good", File: "ca.crt", Names: []string{}},
		{Identity: "controller:c1", State: "good", File: "controller-c1.pem", Names: []string{"c1.example", "192.0.2.1"}},
	}
	if diff := cmp.Diff(want, timeless(before)); diff != "" {
		t.Errorf("here (-want +got):\n%s", diff)
	}
	want = []certificate{want[0], {Identity: "host:h1", State: "good", File: "host-h1.pem", Names: []string{}}}
	if diff := cmp.Diff(want, timeless(shown(t, there))); diff != "" {
		t.Errorf("there (-want +got):\n%s", diff)
	}

	old, err := pki.Read(here, pki.Controller("c1"))
	if err != nil {
		t.Fatal(err)
	}
	at(here, "renew")
	renewed, err := pki.Read(here, pki.Controller("c1"))
	if err != nil || renewed.Equal(old) || !renewed.NotAfter.After(old.NotAfter) || !cmp.Equal(pki.NamesOf(renewed), pki.NamesOf(old)) {
		t.Errorf("renewed until %s for %v, before until %s for %v: %v", renewed.NotAfter, pki.NamesOf(renewed), old.NotAfter, pki.NamesOf(old), err)
	}
	for _, wrong := range [][]string{
		{"init", "--pki", here},                                       // once
		{"issue", "host", "h2", "--pki", there},                       // the authority is elsewhere
		{"issue", "host", "h2", "--names", "h2", "--pki", here},       // it serves nobody
		{"accept", "host", "h1", answer, "--pki", there},              // it was accepted before
		{"sign", "host", "h1", answer, "--pki", here},                 // no request
		{"renew", "host", "h7", "--pki", here}, {"show", "--pki", ""}, // there is none
	} {
		if r := sluice(t, append([]string{"pki"}, wrong...)...); r.status != statusFailed || strings.Count(r.err, "\n") != 1 {
			t.Errorf("sluice pki %v: status %d, %q", wrong, r.status, r.err)
		}
	}
}

func shown(t *testing.T, dir string) (list []certificate) {
	t.Helper()
	if err := json.Unmarshal([]byte(done(t, "pki", "show", "-o", "json", "--pki", dir)), &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// timeless leaves out what is another on each run.
func timeless(list []certificate) []certificate {
	for i := range list {
		list[i].Until, list[i].Renew, list[i].File = time.Time{}, time.Time{}, filepath.Base(list[i].File)
	}
	return list
}

// TestCertificateStates: what people read, on the day on which they read it.
func TestCertificateStates(t *testing.T) {
	dir := t.TempDir()
	a, err := pki.CreateAuthority(dir)
	if err == nil {
		err = a.Issue(dir, pki.Host("h1"), nil, 90*24*time.Hour)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "host-h2.pem"), []byte("spoilt"), 0o600); err != nil {
		t.Fatal(err)
	}
	for days, want := range map[int]string{0: "good", 59: "good", 61: "due", 91: "expired"} {
		list, err := certificatesIn(dir, time.Now().AddDate(0, 0, days))
		if err != nil || len(list) != 3 {
			t.Fatalf("%v, %v", list, err)
		}
		if list[1].State != want {
			t.Errorf("after %d days it is %s, want %s", days, list[1].State, want)
		}
		if !strings.Contains(list[2].State, "no certificate in it") {
			t.Errorf("a spoilt file is %q", list[2].State)
		}
	}
}

// TestCertificateWins: one that is there is never passed over, even where it is of no use, and one
// that is asked for must be there.
func TestCertificateWins(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		file  string
		flags pkiFlags
		fails bool
	}{
		{"", pkiFlags{dir: dir}, false},
		{"", pkiFlags{dir: dir, given: true}, true},
		{"host-h1.pem", pkiFlags{dir: dir}, true},
		{"host-h1.pem", pkiFlags{dir: ""}, false},
	} {
		if c.file != "" {
			if err := os.WriteFile(filepath.Join(dir, c.file), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s, err := c.flags.open(pki.Host("h1"), nil)
		if s != nil || (err != nil) != c.fails {
			t.Errorf("%q, %+v: %v, %v", c.file, c.flags, s, err)
		}
	}
}

func TestLoopback(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:6653": true, "localhost:6653": true, "[::1]:6653": true, "127.9.9.9:1": true, "unix:/run/x": true,
		"tcp:127.0.0.1:6653": true, "http://127.0.0.1:2379": true, "https://localhost:2379": true, "tcp:[::1]:6653": true,
		":6653": false, "0.0.0.0:6653": false, "[::]:6653": false, "192.0.2.1:6653": false, "tcp:192.0.2.1:6653": false,
		"http://192.0.2.1:2379": false, "http://127.0.0.1.evil.example:2379": false, "ssl:192.0.2.1:1": false, "c1:6653": false,
	} {
		if got := isLoopback(address); got != want {
			t.Errorf("isLoopback(%q) = %v", address, got)
		}
	}
}
