package main

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"sluice/controller/client"
	"sluice/store"
)

var someEvents = []client.Happened{
	{Name: "00ff-k4", Revision: 40, Happening: store.Happening{What: store.GatewayMoved, Object: "tenant alice", Tenant: "alice", Hosts: []string{"h1", "h2"}, Text: "from h1 to h2", Detail: "moved by hand",
		Controller: "c1", Count: 1, First: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC), Last: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)}},
	{Name: "01ff-k5", Revision: 42, Happening: store.Happening{What: store.DriftMended, Object: "host h1", Hosts: []string{"h1"}, Text: "flows that others changed were put right", Detail: "1 missing, 0 extra, 0 changed",
		Warning: true, Controller: "c1", Count: 12, First: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC), Last: time.Date(2026, 11, 22, 10, 5, 0, 0, time.UTC)}},
	{Name: "02ff-k6", Revision: 43, Happening: store.Happening{What: store.Changed, Object: "tenant alice", Tenant: "alice", Text: "set-tenant-limits", Who: "token ci",
		Controller: "c2", Count: 1, First: time.Date(2026, 11, 22, 10, 6, 0, 0, time.UTC), Last: time.Date(2026, 11, 22, 10, 6, 0, 0, time.UTC)}},
}

func TestEventsAsText(t *testing.T) {
	for file, f := range map[string]format{"testdata/events.txt": formatTable, "testdata/events.json": formatJSON} {
		var b bytes.Buffer
		if err := f.print(&b, someEvents, func(w io.Writer) { writeEvents(w, someEvents) }); err != nil {
			t.Fatal(err)
		}
		checkGolden(t, file, b.Bytes())
	}
	for file, f := range map[string]format{"testdata/events-watch.txt": formatTable, "testdata/events-watch.json": formatJSON} {
		var b bytes.Buffer
		for _, h := range someEvents {
			if err := writeEvent(&b, h, f); err != nil {
				t.Fatal(err)
			}
		}
		checkGolden(t, file, b.Bytes())
	}
}

// What somebody changes is an event at once, that --watch tells as it happens, and that stays.
func TestEventsCommand(t *testing.T) {
	r := runController(t, t.TempDir())
	sluice(t, "tenant", "create", "alice", "--api", r.api)
	w := watch(t, "events", "--watch", "--tenant", "alice", "--api", r.api)
	until := func(text string) {
		t.Helper()
		w.until(func(shown string) bool { return strings.Contains(shown, text) }, text)
	}
	until("tenant alice: create-tenant, by local")
	sluice(t, "tenant", "set", "alice", "--limit-connections", "5", "--api", r.api)
	until("tenant alice: set-tenant-limits, by local")
	until("limits-changed        tenant alice: connections 0 -> 5")
	w.interrupt()
	list := func(args ...string) (all []client.Happened) {
		t.Helper()
		got := sluice(t, append([]string{"events", "-o", "json", "--api", r.api}, args...)...)
		if err := json.Unmarshal([]byte(got.out), &all); err != nil {
			t.Fatalf("%+v: %v", got, err)
		}
		return all
	}
	for args, want := range map[string]int{
		"": 3, "--kind limits,gateway": 1, "--kind changed": 2, "--since 1h": 3, "--since 2099-01-02T15:04:05Z": 0, "--tenant bob": 0, "--host h1": 0,
	} {
		if got := list(strings.Fields(args)...); len(got) != want {
			t.Errorf("sluice events %s: %d events, not %d: %+v", args, len(got), want, got)
		}
	}
	for args, says := range map[string]string{"--kind gatway": `kind "gatway"`, "--since yesterday": "give a duration before now", "--since -5m": "give a duration before now"} {
		if got := sluice(t, append([]string{"events", "--api", r.api}, strings.Fields(args)...)...); got.status != statusFailed || !strings.Contains(got.err, says) {
			t.Errorf("sluice events %s: %+v", args, got)
		}
	}
	if got := sluice(t, "events", "--watch", "-o", "yaml", "--api", r.api); got.status != statusUsage {
		t.Errorf("watching in yaml: %+v", got)
	}
	r.end(t)
}
