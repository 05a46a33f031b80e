package ovsdb_test

import (
	"testing"

	"sluice/datapath/ovsdb"
)

// TestPortIs changes one thing of a port at a time.
func TestPortIs(t *testing.T) {
	want := func() ovsdb.Interface {
		return ovsdb.Interface{
			Name: "sl-a", Type: "internal", MAC: "02:00:00:00:00:01", MTU: 1400, OFPort: 7,
			Options: map[string]string{"key": "flow"}, ExternalIDs: map[string]string{"uid": "a"},
		}
	}
	for _, c := range []struct {
		name   string
		change func(*ovsdb.Port)
		is     bool
	}{
		{"nothing", func(*ovsdb.Port) {}, true},
		{"name", func(p *ovsdb.Port) { p.Name = "sl-b" }, false},
		{"type", func(p *ovsdb.Port) { p.Type = "" }, false},
		{"MAC", func(p *ovsdb.Port) { p.MAC = "" }, false},
		{"MTU", func(p *ovsdb.Port) { p.MTU = 0 }, false},
		{"OpenFlow port asked for", func(p *ovsdb.Port) { p.OFPort = 0 }, false},
		{"option", func(p *ovsdb.Port) { p.Options["key"] = "5" }, false},
		{"external id", func(p *ovsdb.Port) { p.ExternalIDs["uid"] = "b" }, false},
		{"not open", func(p *ovsdb.Port) { p.Open = false }, false},
	} {
		have := &ovsdb.Port{Interface: want(), Open: true}
		c.change(have)
		if got := have.Is(want()); got != c.is {
			t.Errorf("changed %s: is what was asked for %v, want %v", c.name, got, c.is)
		}
	}
	var none *ovsdb.Port
	if none.Is(want()) {
		t.Error("no port is what was asked for")
	}
}
