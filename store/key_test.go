package store

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestKeys(t *testing.T) {
	for _, tc := range []struct {
		key  Key
		path string
	}{
		{TenantKey("alice"), "/sluice/v1/tenants/alice"},
		{NetworkKey("alice", "web"), "/sluice/v1/networks/alice/web"},
		{HostKey("h1"), "/sluice/v1/hosts/h1"},
		{PortKey("h1", "alice", "web", "a1"), "/sluice/v1/ports/h1/alice/web/a1"},
		{GatewayKey("alice"), "/sluice/v1/gateways/alice"},
		{PeeringKey("alice", "bob"), "/sluice/v1/peerings/alice/bob"},
		{PublicationKey("alice", "tcp-8080"), "/sluice/v1/published/alice/tcp-8080"},
		{MasterKey("h1"), "/sluice/v1/masters/h1"},
		{LiveHostKey("h1"), "/sluice/v1/live/hosts/h1"},
		{LiveControllerKey("c1"), "/sluice/v1/live/controllers/c1"},
		{TokenKey("ci"), "/sluice/v1/tokens/ci"},
		{StatusHostKey("h1"), "/sluice/v1/status/hosts/h1"},
		{StatusControllerKey("c1"), "/sluice/v1/status/controllers/c1"},
		{StatusCountersKey("h1"), "/sluice/v1/status/counters/h1"},
		{HappeningKey("00ff-k4"), "/sluice/v1/status/events/00ff-k4"},
		{UsageKey("h1"), "/sluice/v1/usage/h1"},
		{AllocKey("addresses", "alice", "web", "10.0.0.2"), "/sluice/v1/alloc/addresses/alice/web/10.0.0.2"},
	} {
		if got := tc.key.String(); got != tc.path {
			t.Errorf("%+v is written %s, want %s", tc.key, got, tc.path)
		}
		if got, err := ParseKey(tc.path); err != nil || got != tc.key {
			t.Errorf("%s is read %+v, %v", tc.path, got, err)
		}
		if got := Prefix + tc.key.Short(); got != tc.path {
			t.Errorf("%+v is short %s", tc.key, tc.key.Short())
		}
	}
	for _, path := range []string{
		"", "/", "tenants/alice", "/sluice/v2/tenants/alice", "/sluice/v1/", "/sluice/v1/tenants", "/sluice/v1/tenants/", "/sluice/v1/tenants/a/b",
		"/sluice/v1/networks/alice", "/sluice/v1/ports/h1/alice//a1", "/sluice/v1/tenants/Alice", "/sluice/v1/hosts/..",
		"/sluice/v1/hosts/h1%2Falice", "/sluice/v1/live/controllers/a b", "/sluice/v1/alloc/vlans//7", "/sluice/v1/unknown/x", "/sluice/v1/alloc/", "/sluice/v1/presence/h1/alice/web",
	} {
		if key, err := ParseKey(path); err == nil {
			t.Errorf("%q is read %+v", path, key)
		}
	}
}

// A name that is not valid makes a path that is refused, and never that of another key, or of
// several: "h1/alice" is no host, though ports/h1/alice/ is where h1 has the ports of alice.
func TestPathsOfInvalidNames(t *testing.T) {
	invalid := []string{"", "h1/alice", "..", ".", "a/", "/a", "/", "A", "a b", "%", "a%2Fb", "\x00", strings.Repeat("a", 64)}
	for _, d := range kinds {
		parts := d.about().parts
		for i, p := range parts {
			for _, name := range invalid {
				if p == partController && name != "" && !strings.ContainsAny(name, "/ %\x00") && name != "." && name != ".." || p == partRest {
					continue
				}
				values := slices.Repeat([]string{"a"}, len(parts))
				values[i] = name
				key := Key{Kind: d.kind()}
				for j, q := range parts {
					*key.place(q) = values[j]
				}
				for _, path := range []string{key.String(), Under(d.kind(), values[:i+1]...)} {
					if err := CheckPath(path); !errors.Is(err, ErrInvalid) {
						t.Errorf("%s of %q: path %s: %v", d.kind(), values, path, err)
					}
				}
			}
		}
	}
	for path, says := range map[string]string{
		HostKey("h1/alice").String():              `"h1/alice" is not a DNS label`,
		HostKey("").String():                      `"" is not a DNS label`,
		Under(KindPort, "h1/alice"):               `"h1/alice" is not a DNS label`,
		PortNamesUnder("alice/web"):               `"alice/web" is not a DNS label`,
		Under(KindHost, "h1"):                     "has 1 parts after hosts, which has 1",
		Under(KindPort, "h1", "a", "b", "c", "d"): "has 5 parts",
		Prefix + "ports/h1/alice":                 "has 2 parts after ports, which has 4",
		Prefix + "hosts/h1/alice":                 "has 2 parts after hosts, which has 1",
		Prefix + "unknown/x":                      "no known kind",
		LiveControllerKey("a b").String():         `controller name "a b"`,
		AllocKey("vlans", "").String():            `"" is not a DNS label`,
	} {
		if err := CheckPath(path); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("path %s: %v; want %q", path, err, says)
		}
	}
	for _, path := range []string{
		Under(KindHost), Under(KindPort, "h1"), Under(KindPort, "h1", "alice"), HostKey("h1").String(), PortNamesUnder("alice"),
		LiveControllerKey("Host_1.example").String(), Under(KindAlloc, "macs"), AllocKey("addresses", "alice/web/fd00::5").String(), Under(KindAlloc),
	} {
		if err := CheckPath(path); err != nil {
			t.Errorf("path %s: %v", path, err)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	for _, d := range kinds {
		for _, tail := range []string{"", "a", "a/b", "a/b/c/d", "a//b", "\x00", "é"} {
			f.Add(Under(d.kind()) + tail)
		}
	}
	f.Fuzz(func(t *testing.T, path string) {
		key, err := ParseKey(path)
		if err != nil {
			return
		}
		if key.String() != path || !strings.HasPrefix(path, Prefix) {
			t.Errorf("%q is read %+v, which is written %q", path, key, key)
		}
	})
}

// Names that share a hash are all found by it.
func TestHostsOfOneHash(t *testing.T) {
	names := []string{"costarring", "liquid"}
	if HostHash(names[0]) != HostHash(names[1]) {
		t.Fatal("the names were to share a hash")
	}
	s := NewState()
	found := func() (list []string) {
		for _, h := range s.HostsByHash(HostHash(names[0])) {
			list = append(list, h.Key.Host)
		}
		return list
	}
	for rev, name := range []string{names[1], names[0]} {
		s.Apply(Batch{Revision: Revision(rev + 1), Events: []Event{{Key: HostKey(name), Object: &Host{DatapathID: DatapathID(rev)}}}})
	}
	if got := found(); !slices.Equal(got, names) {
		t.Errorf("found %v, want %v", got, names)
	}
	s.Apply(Batch{Revision: 3, Events: []Event{{Key: HostKey(names[0])}}})
	if got := found(); !slices.Equal(got, names[1:]) {
		t.Errorf("after a deletion found %v, want %v", got, names[1:])
	}
}
