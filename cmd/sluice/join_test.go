package main

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// An agent knows what its host kept when it joined; its command line stands above that.
func TestAgentKnowsWhatItJoined(t *testing.T) {
	dir := t.TempDir()
	text := `{"host":"h1","etcd":["https://192.0.2.1:2379"],"controllers":["ssl:192.0.2.1:6653"],"api":["https://192.0.2.1:8080"],"invitation":"x"}`
	if err := os.WriteFile(filepath.Join(dir, "cluster.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	agent := func(change func(*agentFlags)) (*agentFlags, error) {
		o := &agentFlags{vtep: "192.0.2.21"}
		o.pki.dir = dir
		if change != nil {
			change(o)
		}
		if err := o.complete(); err != nil {
			return o, err
		}
		return o, o.knows(context.Background(), slog.New(slog.DiscardHandler))
	}
	o, err := agent(nil)
	if err != nil || o.options.Host != "h1" || o.etcd.endpoints[0] != "https://192.0.2.1:2379" || o.options.Controllers[0] != "ssl:192.0.2.1:6653" {
		t.Errorf("without flags: %+v, %v", o, err)
	}
	o, err = agent(func(o *agentFlags) { o.etcd.endpoints = []string{"https://192.0.2.9:2379"} })
	if err != nil || o.etcd.endpoints[0] != "https://192.0.2.9:2379" || o.options.Controllers[0] != "ssl:192.0.2.1:6653" {
		t.Errorf("with another etcd: %+v, %v", o, err)
	}
	o, err = agent(func(o *agentFlags) { o.join = "@/nowhere/at/all" })
	if err != nil || o.options.Host != "h1" {
		t.Errorf("the file of the token that it used is gone: %+v, %v", o, err)
	}
	for name, tc := range map[string]struct {
		change func(*agentFlags)
		says   string
	}{
		"another name":           {func(o *agentFlags) { o.options.Host = "h2" }, "joined as host h1"},
		"a file of a torn token": {func(o *agentFlags) { o.join = "@" + filepath.Join(dir, "cluster.json") }, "it is no token"},
		"no file of a token":     {func(o *agentFlags) { o.pki.dir, o.join = t.TempDir(), "@/nowhere/at/all" }, "/nowhere/at/all: no such file"},
		"a torn token":           {func(o *agentFlags) { o.join = "sluice-join.abc" }, "it is no token"},
		"nothing joined":         {func(o *agentFlags) { o.pki.dir = t.TempDir() }, `required flag(s) "controllers", "etcd-endpoints", "host" not set`},
		"no tunnel address":      {func(o *agentFlags) { o.vtep = "" }, `required flag(s) "vtep" not set`},
		"no directory":           {func(o *agentFlags) { o.join, o.pki.dir = "x", "" }, "--pki"},
		"what it keeps is torn":  {func(o *agentFlags) { o.pki.dir = torn(t) }, "join again"},
	} {
		if _, err := agent(tc.change); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a controller tells of itself is what others can dial.
func TestReachedAt(t *testing.T) {
	all, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	one, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	port := strconv.Itoa(all.Addr().(*net.TCPAddr).Port)
	for name, tc := range map[string]struct {
		at   net.Listener
		own  []string
		want string
	}{
		"one address":            {one, []string{"192.0.2.1"}, one.Addr().String()},
		"all, the first":         {all, []string{"192.0.2.1", "192.0.2.2"}, "192.0.2.1:" + port},
		"all, the first address": {all, []string{"c1.example", "2001:db8::1"}, "[2001:db8::1]:" + port},
		"all, names alone":       {all, []string{"c1.example"}, "c1.example:" + port},
		"all, nothing known":     {all, nil, all.Addr().String()},
	} {
		if got := reachedAt(tc.at, tc.own); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func torn(t *testing.T) string {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "cluster.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}
