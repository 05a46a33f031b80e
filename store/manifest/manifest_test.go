package manifest_test

import (
	_ "embed"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"sluice/store"
	"sluice/store/manifest"
	"sluice/store/manifest/manifestfile"

	"github.com/google/go-cmp/cmp"
)

//go:embed testdata/full.yaml
var full string

// cluster has h1, a gateway host, and h2, which is none.
func cluster(t *testing.T) *store.State {
	t.Helper()
	s := store.NewState()
	events := []store.Event{
		{Key: store.HostKey("h1"), Object: &store.Host{Incarnation: "1", DatapathID: 1, Gateway: true}},
		{Key: store.HostKey("h2"), Object: &store.Host{Incarnation: "2", DatapathID: 2}},
	}
	for i := range events {
		events[i].Created, events[i].Modified = store.Revision(i+1), store.Revision(i+1)
	}
	s.Apply(store.Batch{Revision: 10, Events: events})
	return s
}

// run takes steps on a State, with numbers from 1 on, as a store would.
func run(t *testing.T, s *store.State, steps []manifest.Step) {
	t.Helper()
	for i, step := range steps {
		p, err := step.Request(s)
		if err != nil {
			t.Fatalf("%s %s: %v", step.Change, step.Key.Short(), err)
		}
		for k, d := range p.Draws {
			d.Set(d.Space.At(uint64(10*i + k)))
		}
		b := store.Batch{Revision: s.Revision() + 1, Events: p.Writes}
		for k := range b.Events {
			e := &b.Events[k]
			e.Created, e.Modified = b.Revision, b.Revision
			if was, there := s.Find(e.Key); there {
				e.Created = was.Created
			}
		}
		s.Apply(b)
	}
}

func stepWords(steps []manifest.Step) (words []string) {
	for _, step := range steps {
		text := step.Change + " " + step.Key.Short()
		for _, f := range step.Differs {
			text += fmt.Sprintf(", %s: %s>%s", f.Name, f.Before, f.After)
		}
		words = append(words, text)
	}
	return words
}

// What the manifest says is made, changed where it differs, and left alone where it is so.
func TestSteps(t *testing.T) {
	m, _, err := manifestfile.Parse("f", []byte(full))
	if err != nil {
		t.Fatal(err)
	}
	s := cluster(t)
	steps := must(t, m, s)
	want := []string{
		"create tenants/alice, gateway: auto>h1, hosts: >h1 h2, labels: >1=x team=red, topology: direct>star, ttl: >2h0m0s, limits.connections: >100, limits.ports: >10, subnets: >10.0.0.0/24 fd00::/64",
		"create networks/alice/db, subnets: >10.0.1.0/24",
		"create published/alice/tcp-8080, leads to: >tcp 80 of port alice/default/web",
		"create published/alice/udp-5000-5009, leads to: >udp 5000-5009 of port alice/db/rtp",
		"create tenants/bob, subnets: >10.9.0.0/24",
		"create peerings/alice/bob, networks: >db",
		"create peerings/bob/alice, peerNetworks: >db",
	}
	if diff := cmp.Diff(want, stepWords(steps)); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	run(t, s, steps)
	if again, err := m.Steps(s, nil); err != nil || len(again) != 0 {
		t.Errorf("a second time it takes %v, %v", stepWords(again), err)
	}
	n := s.Network(store.NetworkName{Tenant: "alice", Network: "default"}).Value
	if n.Segmentation != store.SegmentationVLAN || n.MTU != 1400 || n.Flood != store.FloodOff || n.Subnets[0].Gateway != netip.MustParseAddr("10.0.0.9") {
		t.Errorf("alice/default is %+v", n)
	}

	m.Tenants[0].TTL, m.Tenants[0].Topology = "90m", ""
	m.Tenants[0].Gateway, m.Tenants[0].Limits, m.Tenants[0].Hosts = "", store.Limits{Connections: 200}, []string{"h2", "h1"}
	m.Tenants[0].Networks[0].Flood = "on"
	m.Tenants[0].Peerings[0].Networks = []string{"default", "db"}
	steps = must(t, m, s)
	want = []string{
		"update tenants/alice, gateway: h1>auto, topology: star>direct, ttl: 2h0m0s>1h30m0s, limits.connections: 100>200, limits.ports: 10>",
		"update networks/alice/default, flood: off>on",
		"update peerings/alice/bob, networks: db>db default",
	}
	if diff := cmp.Diff(want, stepWords(steps)); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	run(t, s, steps)
	if again, err := m.Steps(s, nil); err != nil || len(again) != 0 {
		t.Errorf("a second time it takes %v, %v", stepWords(again), err)
	}
}

// A word about tenants of before is said anew of those that have the names now.
func TestPeeringsOfTenantsOfBefore(t *testing.T) {
	m, _, err := manifestfile.Parse("f", []byte("tenants: [{name: alice, peerings: [{with: bob}]}, {name: bob, networks: [{name: default, subnets: [10.9.0.0/24]}]}]"))
	if err != nil {
		t.Fatal(err)
	}
	s := cluster(t)
	run(t, s, must(t, m, s))
	at := s.Revision() + 1
	bob := *s.Tenant("bob").Value
	s.Apply(store.Batch{Revision: at, Events: []store.Event{{Key: store.TenantKey("bob")}}})
	s.Apply(store.Batch{Revision: at + 1, Events: []store.Event{{Key: store.TenantKey("bob"), Object: &bob, Created: at + 1, Modified: at + 1}}})
	if exported := manifest.Export(s, func(name string) bool { return name == "alice" }); len(exported.Tenants[0].Peerings) != 0 {
		t.Errorf("exported are %+v", exported.Tenants[0].Peerings)
	}
	steps := must(t, m, s)
	want := []string{"update peerings/alice/bob, tenants: of these names before>of these names now"}
	if diff := cmp.Diff(want, stepWords(steps)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	run(t, s, steps)
	if again := must(t, m, s); len(again) != 0 {
		t.Errorf("a second time it takes %v", stepWords(again))
	}
}

// What is exported is what a manifest reads, and asks for nothing.
func TestExport(t *testing.T) {
	m, _, err := manifestfile.Parse("f", []byte(full))
	if err != nil {
		t.Fatal(err)
	}
	s := cluster(t)
	steps := must(t, m, s)
	run(t, s, steps)
	all := manifest.Export(s, func(string) bool { return true })
	text, err := manifestfile.Write(all)
	if err != nil {
		t.Fatal(err)
	}
	read, _, err := manifestfile.Parse("exported", text)
	if err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	if diff := cmp.Diff(all, read); diff != "" {
		t.Errorf("it reads back (-exported +read):\n%s", diff)
	}
	if steps, err := read.Steps(s, nil); err != nil || len(steps) != 0 {
		t.Errorf("it asks for %v, %v:\n%s", stepWords(steps), err, text)
	}
	if some := manifest.Export(s, func(name string) bool { return name == "bob" }); len(some.Tenants) != 1 || some.Tenants[0].Name != "bob" {
		t.Errorf("of bob alone it exports %v", some)
	}
	if !strings.HasPrefix(string(text), "tenants:\n    - name: alice\n      gateway: h1\n") || !strings.Contains(string(text), `flood: "off"`) {
		t.Errorf("its form is not what people write:\n%s", text)
	}
	if strings.Contains(string(text), "tunnel") || strings.Contains(string(text), "auto") {
		t.Errorf("it says defaults:\n%s", text)
	}
}

// Objects are removed by name only, networks before their tenants.
func TestRemovals(t *testing.T) {
	s := cluster(t)
	run(t, s, must(t, &manifest.Manifest{Tenants: []manifest.DeclaredTenant{
		{Name: "alice", Networks: []manifest.DeclaredNetwork{{Name: "db", Subnets: []string{"10.0.1.0/24"}}}}, {Name: "bob"},
	}}, s))
	m := &manifest.Manifest{Tenants: []manifest.DeclaredTenant{{Name: "bob"}}}
	steps, err := m.Steps(s, []store.Key{store.NetworkKey("alice", "db")})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"delete networks/alice/db"}, stepWords(steps)); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	run(t, s, steps)
	if s.Network(store.NetworkName{Tenant: "alice", Network: "db"}) != nil {
		t.Error("alice/db is still there")
	}
}

func must(t *testing.T, m *manifest.Manifest, s *store.State) []manifest.Step {
	t.Helper()
	steps, err := m.Steps(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	return steps
}

// A wrong manifest is refused as a whole, with the place of what is wrong.
func TestStepsRefuse(t *testing.T) {
	s := cluster(t)
	run(t, s, must(t, &manifest.Manifest{Tenants: []manifest.DeclaredTenant{{Name: "old"}}}, s))
	network := func(n manifest.DeclaredNetwork) *manifest.Manifest {
		return &manifest.Manifest{Tenants: []manifest.DeclaredTenant{{Name: "old", Networks: []manifest.DeclaredNetwork{n}}}}
	}
	tenants := func(list ...manifest.DeclaredTenant) *manifest.Manifest { return &manifest.Manifest{Tenants: list} }
	published := func(list ...manifest.DeclaredPublication) *manifest.Manifest {
		return tenants(manifest.DeclaredTenant{Name: "old", Publications: list})
	}
	run(t, s, must(t, published(manifest.DeclaredPublication{Port: "web", Ports: "80"}), s))
	for name, tt := range map[string]struct {
		m      *manifest.Manifest
		remove []store.Key
		path   string
		says   string
	}{
		"no name":                {tenants(manifest.DeclaredTenant{}), nil, "tenants[0].name", "name"},
		"twice":                  {tenants(manifest.DeclaredTenant{Name: "a"}, manifest.DeclaredTenant{Name: "a"}), nil, "tenants[1].name", "tenant a is declared twice"},
		"network twice":          {tenants(manifest.DeclaredTenant{Name: "a", Networks: []manifest.DeclaredNetwork{{Name: "n", Subnets: []string{"10.0.0.0/24"}}, {Name: "n"}}}), nil, "tenants[0].networks[1].name", "network a/n is declared twice"},
		"network without name":   {network(manifest.DeclaredNetwork{Subnets: []string{"10.0.0.0/24"}}), nil, "tenants[0].networks[0].name", "name"},
		"no such host":           {tenants(manifest.DeclaredTenant{Name: "a", Gateway: "h9"}), nil, "tenants[0]", "no such host"},
		"no gateway host":        {tenants(manifest.DeclaredTenant{Name: "old", Gateway: "h2"}), nil, "tenants[0]", "no gateway host"},
		"limits":                 {tenants(manifest.DeclaredTenant{Name: "old", Limits: store.Limits{Ports: -1}}), nil, "tenants[0]", "negative"},
		"no subnet":              {network(manifest.DeclaredNetwork{Name: "default", Subnets: []string{"10.0.0/24"}}), nil, "tenants[0].networks[0].subnets[0]", "ADDRESS/LENGTH"},
		"no address":             {network(manifest.DeclaredNetwork{Name: "default", Subnets: []string{"10.0.0.0/24"}, Gateways: []string{"x"}}), nil, "tenants[0].networks[0].gateways[0]", "no address"},
		"other subnets":          {network(manifest.DeclaredNetwork{Name: "default", Subnets: []string{"10.9.0.0/24"}}), nil, "tenants[0].networks[0].subnets", "cannot change"},
		"other segmentation":     {network(manifest.DeclaredNetwork{Name: "default", Subnets: []string{"10.0.0.0/24"}, Segmentation: "vlan"}), nil, "tenants[0].networks[0].segmentation", "cannot change"},
		"other exclusion":        {network(manifest.DeclaredNetwork{Name: "default", Subnets: []string{"10.0.0.0/24"}, Exclude: []string{"10.0.0.5"}}), nil, "tenants[0].networks[0].exclude", "cannot change"},
		"no range":               {network(manifest.DeclaredNetwork{Name: "default", Subnets: []string{"10.0.0.0/24"}, Exclude: []string{"10.0"}}), nil, "tenants[0].networks[0].exclude[0]", "10.0"},
		"no time":                {tenants(manifest.DeclaredTenant{Name: "a", TTL: "soon"}), nil, "tenants[0].ttl", "90m"},
		"no topology":            {tenants(manifest.DeclaredTenant{Name: "old", Topology: "ring"}), nil, "tenants[0]", "direct or star"},
		"short time":             {tenants(manifest.DeclaredTenant{Name: "old", TTL: "1s"}), nil, "tenants[0]", "less than"},
		"no flood":               {network(manifest.DeclaredNetwork{Name: "default", Subnets: []string{"10.0.0.0/24"}, Flood: "some"}), nil, "tenants[0].networks[0]", "some"},
		"no port":                {published(manifest.DeclaredPublication{Ports: "80"}), nil, "tenants[0].publications[0]", "not a DNS label"},
		"no number":              {published(manifest.DeclaredPublication{Port: "web", Ports: "http"}), nil, "tenants[0].publications[0].ports", `ports "http"`},
		"not as many":            {published(manifest.DeclaredPublication{Port: "web", Ports: "80-81", On: "80"}), nil, "tenants[0].publications[0].on", "give as many"},
		"a route on a port":      {published(manifest.DeclaredPublication{Port: "web", Ports: "80", On: "81", Route: manifest.DeclaredRoute{Host: "a.example"}}), nil, "tenants[0].publications[0].on", "on no port of the gateway host"},
		"no address floats":      {published(manifest.DeclaredPublication{Port: "web", Ports: "80", Address: "web"}), nil, "tenants[0].publications[0].address", `"web" is no address such as 203.0.113.50`},
		"an address for a route": {published(manifest.DeclaredPublication{Port: "web", Ports: "80", Address: "203.0.113.50", Route: manifest.DeclaredRoute{Host: "a.example"}}), nil, "tenants[0].publications[0]", "route is on no address"},
		"elsewhere":              {published(manifest.DeclaredPublication{Port: "web", Ports: "80", Address: "203.0.113.50"}), nil, "tenants[0].publications[0]", "leads to tcp 80 of port old/default/web, which cannot change"},
		"no name of a route":     {published(manifest.DeclaredPublication{Port: "web", Ports: "80", Route: manifest.DeclaredRoute{Host: "a b"}}), nil, "tenants[0].publications[0]", `host name "a b"`},
		"published twice":        {published(manifest.DeclaredPublication{Port: "a", Ports: "81"}, manifest.DeclaredPublication{Port: "b", Ports: "81"}), nil, "tenants[0].publications[1].name", "publication old/tcp-81 is declared twice"},
		"published otherwise":    {published(manifest.DeclaredPublication{Port: "db", Ports: "80"}), nil, "tenants[0].publications[0]", "leads to tcp 80 of port old/default/web, which cannot change"},
		"published and removed":  {published(manifest.DeclaredPublication{Port: "web", Ports: "80"}), []store.Key{store.PublicationKey("old", "tcp-80")}, "", "declared and to be removed"},
		"declared and removed":   {tenants(manifest.DeclaredTenant{Name: "old"}), []store.Key{store.TenantKey("old")}, "", "declared and to be removed"},
		"network and removed":    {network(manifest.DeclaredNetwork{Name: "default", Subnets: []string{"10.0.0.0/24"}}), []store.Key{store.NetworkKey("old", "default")}, "", "declared and to be removed"},
		"what is not is removed": {tenants(), []store.Key{store.TenantKey("nobody")}, "", "no such tenant"},
	} {
		_, err := tt.m.Steps(s, tt.remove)
		var wrong *manifest.Error
		if !errors.As(err, &wrong) || wrong.Path != tt.path || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// So are floating addresses; whether one may float is decided when the step is taken.
func TestFloatingPublications(t *testing.T) {
	m, _, err := manifestfile.Parse("f", []byte(`
tenants:
- name: old
  publications:
  - {port: web, ports: "80", on: "8080", address: 203.0.113.50}
`))
	if err != nil {
		t.Fatal(err)
	}
	s := cluster(t)
	steps := must(t, m, s)
	last := len(steps) - 1
	run(t, s, steps[:last])
	if _, err := steps[last].Request(s); !errors.Is(err, store.ErrTaken) || !strings.Contains(err.Error(), "203.0.113.50 may not float") {
		t.Errorf("an address that may not float: %v", err)
	}
	a := netip.MustParseAddr("203.0.113.50")
	allow := func(s *store.State) {
		s.Apply(store.Batch{Revision: s.Revision() + 1, Events: []store.Event{{Key: store.SettingsKey(), Object: &store.Settings{Floating: []store.AddressRange{{First: a, Last: a}}},
			Created: s.Revision() + 1, Modified: s.Revision() + 1}}})
	}
	allow(s)
	run(t, s, steps[last:])
	if p := s.Publication("old", "tcp-8080"); p == nil || p.Value.Address != a {
		t.Errorf("%+v", p)
	}
	fresh := cluster(t)
	allow(fresh)
	run(t, fresh, must(t, manifest.Export(s, func(string) bool { return true }), fresh))
	if again := must(t, m, fresh); len(again) != 0 {
		t.Errorf("what was exported differs by %v", stepWords(again))
	}
}

// Routes are declared, made, and exported as they are.
func TestRoutes(t *testing.T) {
	m, _, err := manifestfile.Parse("f", []byte(`
tenants:
- name: old
  publications:
  - {port: web, ports: "8888", route: {host: Old.example}}
  - {network: db, port: web, ports: "80", route: {host: hub.example, path: /old, strip: true, shared: true}}
`))
	if err != nil {
		t.Fatal(err)
	}
	s := cluster(t)
	steps := must(t, m, s)
	run(t, s, steps)
	if again := must(t, m, s); len(again) != 0 {
		t.Errorf("a second time it takes %v", stepWords(again))
	}
	for name, want := range map[string]store.Route{"http-old-example": store.NewRoute("old.example", ""), "http-hub-example-old": {Host: "hub.example", Path: "/old/", Strip: true, Shared: true}} {
		if p := s.Publication("old", name); p == nil || p.Value.Route != want {
			t.Errorf("%s: %+v", name, p)
		}
	}
	exported := manifest.Export(s, func(string) bool { return true })
	fresh := cluster(t)
	run(t, fresh, must(t, exported, fresh))
	if again := must(t, m, fresh); len(again) != 0 {
		t.Errorf("what was exported differs by %v", stepWords(again))
	}
}
