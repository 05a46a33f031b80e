package web

import (
	"regexp"
	"strings"
	"testing"

	"sluice/controller/client"
	"sluice/store"
)

// Which way a tenant's frames go is said as it is, and not only as it is wanted.
func TestTopologySays(t *testing.T) {
	for _, test := range []struct {
		topology       store.Topology
		active         string
		relay          store.Relay
		tenant, column string
	}{
		{"", "h1", "", "direct: frames go from host to host", "direct"},
		{store.TopologyDirect, "h1", store.RelayOn, "direct: frames go from host to host soon, and by h1 until then", "by h1 (star)"},
		{store.TopologyStar, "h1", store.RelayOn, "star: frames between its hosts go by h1", "by h1 (star)"},
		{store.TopologyStar, "h1", store.RelayReady, "star: on its way, frames go straight until then", "between direct and star"},
		{store.TopologyStar, "h1", "", "star: on its way, frames go straight until then", "direct"},
		{store.TopologyStar, "", "", "star: without a gateway host frames go straight", "direct"},
	} {
		page := tenantPage{Gateway: client.Gateway{Gateway: store.Gateway{Active: test.active, Relay: test.relay}}}
		page.Tenant.Topology = test.topology
		for part, says := range map[string]struct {
			of   any
			want string
		}{"topology": {page, test.tenant}, "way": {page.Gateway, test.column}} {
			var b strings.Builder
			if err := parse()["tenant"].ExecuteTemplate(&b, part, says.of); err != nil {
				t.Fatal(err)
			}
			if text := strings.TrimSpace(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(b.String(), "")); text != says.want {
				t.Errorf("%+v: %s says %q, not %q", test, part, text, says.want)
			}
		}
	}
}

// A star is drawn with its hosts' names, and told to who cannot see it.
func TestTheStarIsDrawn(t *testing.T) {
	page := tenantPage{Gateway: client.Gateway{Gateway: store.Gateway{Active: "h1", Relay: store.RelayOn}}}
	page.Star = drawStar(page.Gateway, []client.Network{{Hosts: []string{"h1", "h2", "h3"}}})
	var b strings.Builder
	if err := parse()["tenant"].ExecuteTemplate(&b, "star", page.Star); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`aria-label="Frames between hosts go by h1: h2, h3"`, ">h1</text>", ">h2</text>", ">h3</text>"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("it has no %s:\n%s", want, b.String())
		}
	}
	if n := strings.Count(b.String(), "<line"); n != 2 {
		t.Errorf("it has %d lines", n)
	}
}
