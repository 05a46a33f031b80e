package api_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sluice/controller/client"
	"sluice/store"
	"sluice/store/manifest"

	"github.com/google/go-cmp/cmp"
)

// twoTenants is a wish for two tenants, of whom carol has two networks.
func twoTenants() client.Wish {
	return client.Wish{Manifest: manifest.Manifest{Tenants: []manifest.DeclaredTenant{
		{Name: "carol", Networks: []manifest.DeclaredNetwork{{Name: "more", Subnets: []string{"10.0.9.0/24"}, Segmentation: "vlan"}}},
		{Name: "dave", Limits: store.Limits{Ports: 3}},
	}}}
}

func stepsOf(steps []client.PlanStep) (words []string) {
	for _, s := range steps {
		text := s.Change + " " + s.Object
		for _, f := range s.Fields {
			text += fmt.Sprintf(", %s: %s>%s", f.Name, f.Before, f.After)
		}
		words = append(words, text)
	}
	return words
}

// What is applied is what was planned, with the same numbers; a second time there is nothing to do.
func TestApplyDoesWhatWasPlanned(t *testing.T) {
	c := start(t)
	ctx := t.Context()
	c.register(t, "h1")
	p, err := c.Plan(ctx, twoTenants())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"create tenants/carol", "create networks/carol/more, subnets: >10.0.9.0/24", "create tenants/dave, limits.ports: >3"}
	if diff := cmp.Diff(want, stepsOf(p.Steps)); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if list, err := c.Tenants(ctx); err != nil || len(list) != 0 {
		t.Errorf("a plan made %v, %v", list, err)
	}
	done, err := c.Apply(ctx, client.Application{Wish: twoTenants(), Digest: p.Digest})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p.Steps, done.Steps); diff != "" || done.Revision <= p.Revision {
		t.Errorf("applied at %d (-planned +applied):\n%s", done.Revision, diff)
	}
	carol, err := c.Tenant(ctx, "carol")
	if err != nil {
		t.Fatal(err)
	}
	more, err := c.Network(ctx, "carol", "more")
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(carol.Number) != p.Steps[0].Values[1] && fmt.Sprint(carol.Number) != p.Steps[0].Values[0] {
		t.Errorf("carol's number is %d, foreseen were %v", carol.Number, p.Steps[0].Values)
	}
	if diff := cmp.Diff(p.Steps[1].Values, []string{fmt.Sprint(more.Number), fmt.Sprint(more.Segment)}); diff != "" {
		t.Errorf("values of carol/more (-foreseen +drawn):\n%s", diff)
	}
	again, err := c.Apply(ctx, client.Application{Wish: twoTenants()})
	if err != nil || len(again.Steps) != 0 || again.Revision != 0 {
		t.Errorf("a second time: %+v, %v", again, err)
	}
	m, err := c.Export(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	if p, err := c.Plan(ctx, client.Wish{Manifest: m}); err != nil || len(p.Steps) != 0 {
		t.Errorf("what is exported asks for %v, %v", stepsOf(p.Steps), err)
	}
}

// Two new tenants that declare each other reach each other once it is applied; one's word is taken back by name.
func TestApplyPeersTenants(t *testing.T) {
	c := start(t)
	ctx := t.Context()
	subnet := func(s string) []manifest.DeclaredNetwork {
		return []manifest.DeclaredNetwork{{Name: store.DefaultNetwork, Subnets: []string{s}}}
	}
	wish := client.Wish{Manifest: manifest.Manifest{Tenants: []manifest.DeclaredTenant{
		{Name: "carol", Networks: subnet("10.1.0.0/24"), Peerings: []manifest.DeclaredPeering{{With: "dave"}}},
		{Name: "dave", Networks: subnet("10.2.0.0/24"), Peerings: []manifest.DeclaredPeering{{With: "carol", PeerNetworks: []string{"default"}}}},
	}}}
	done, err := c.Apply(ctx, client.Application{Wish: wish})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"create tenants/carol, subnets: >10.1.0.0/24", "create tenants/dave, subnets: >10.2.0.0/24",
		"create peerings/carol/dave", "create peerings/dave/carol, peerNetworks: >default"}
	if diff := cmp.Diff(want, stepsOf(done.Steps)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	await(t, func() error {
		p, err := c.Peering(ctx, "carol", "dave")
		if err == nil && p.State != client.PeeringAgreed {
			err = fmt.Errorf("the peering is %+v", p)
		}
		return err
	})
	if p, err := c.Plan(ctx, wish); err != nil || len(p.Steps) != 0 {
		t.Errorf("a second time: %v, %v", stepsOf(p.Steps), err)
	}
	if _, err := c.Plan(ctx, client.Wish{Manifest: wish.Manifest, Prune: []string{"peerings/carol/dave"}}); err == nil || !strings.Contains(err.Error(), "declared and to be removed") {
		t.Errorf("what is declared is pruned: %v", err)
	}
	if _, err := c.Apply(ctx, client.Application{Wish: client.Wish{Prune: []string{"peerings/carol/dave"}}}); err != nil {
		t.Fatal(err)
	}
	await(t, func() error {
		p, err := c.Peering(ctx, "carol", "dave")
		if err == nil && (p.State != client.PeeringOffered || p.OfferedBy != "dave") {
			err = fmt.Errorf("the peering is %+v", p)
		}
		return err
	})
}

// A plan says the exact flows that a host then holds more, and fewer.
func TestPlannedFlowsAreThoseOfTheHost(t *testing.T) {
	c := start(t)
	ctx := t.Context()
	c.register(t, "h1")
	if _, err := c.CreateTenant(ctx, client.TenantSpec{Name: "alice"}); err != nil {
		t.Fatal(err)
	}
	port := &store.Port{UID: "a", Number: 7, MAC: store.MAC{2, 0, 0, 0, 0, 9}, Interface: "sl-a", Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.9/24")}}
	if err := c.store.PutStatus(ctx, []store.Event{{Key: store.PortKey("h1", "alice", "default", "a"), Object: port}}); err != nil {
		t.Fatal(err)
	}
	await(t, func() error {
		_, err := c.Port(ctx, "alice", "default", "a")
		if g, _ := c.Gateway(ctx, "alice"); err == nil && g.Active == "" {
			err = errors.New("alice has no gateway host yet, which would change her flows meanwhile")
		}
		return err
	})
	before, _, err := c.Flows(ctx, "h1", client.FlowFilter{View: client.ViewDesired})
	if err != nil {
		t.Fatal(err)
	}
	wish := client.Wish{Manifest: manifest.Manifest{Tenants: []manifest.DeclaredTenant{{
		Name: "alice", Limits: store.Limits{Broadcasts: 2500}, Networks: []manifest.DeclaredNetwork{
			{Name: "default", Subnets: []string{"10.0.0.0/24"}}, {Name: "more", Subnets: []string{"10.0.1.0/24"}}},
	}}}}
	p, err := c.Plan(ctx, wish)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Apply(ctx, client.Application{Wish: wish, Digest: p.Digest}); err != nil {
		t.Fatal(err)
	}
	after, _, err := c.Flows(ctx, "h1", client.FlowFilter{View: client.ViewDesired})
	if err != nil {
		t.Fatal(err)
	}
	texts := func(list []client.Flow) map[string]bool {
		all := map[string]bool{}
		for _, f := range list {
			all[f.Text] = true
		}
		return all
	}
	held, holds := texts(before), texts(after)
	for _, f := range p.Flows {
		switch {
		case f.Host != "h1":
		case f.Change == "delete" && holds[f.Text], f.Change != "delete" && !holds[f.Text]:
			t.Errorf("planned to %s, and it is otherwise: %s", f.Change, f.Text)
		case f.Change != "delete":
			held[f.Text] = true
		}
	}
	for text := range holds {
		if !held[text] {
			t.Errorf("not planned: %s", text)
		}
	}
	if len(p.Flows) == 0 || len(p.Hosts) == 0 || p.Hosts[0].Add+p.Hosts[0].Modify+p.Hosts[0].Delete == 0 {
		t.Errorf("of %v no flow changes: %v", stepsOf(p.Steps), p.Hosts)
	}
}

// With the digest of a plan that is not what would be done any more, nothing is done.
func TestApplyRefusesWhatMovedOn(t *testing.T) {
	c := start(t)
	ctx := t.Context()
	c.register(t, "h1")
	p, err := c.Plan(ctx, twoTenants())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateTenant(ctx, client.TenantSpec{Name: "dave"}); err != nil {
		t.Fatal(err)
	}
	_, err = c.Apply(ctx, client.Application{Wish: twoTenants(), Digest: p.Digest})
	var refused *client.Problem
	if !errors.As(err, &refused) || refused.Status != http.StatusConflict || !strings.Contains(err.Error(), "plan again") {
		t.Errorf("it is answered with %v", err)
	}
	if _, err := c.Tenant(ctx, "carol"); err == nil {
		t.Error("carol was made")
	}
	if again, err := c.Plan(ctx, twoTenants()); err != nil || again.Digest == p.Digest || len(again.Steps) != 3 {
		t.Errorf("planned again: %v, %v", stepsOf(again.Steps), err)
	}
}

// Nothing is removed but what is named.
func TestApplyRemovesByNameAlone(t *testing.T) {
	c := start(t)
	ctx := t.Context()
	c.register(t, "h1")
	if _, err := c.Apply(ctx, client.Application{Wish: twoTenants()}); err != nil {
		t.Fatal(err)
	}
	if p, err := c.Plan(ctx, client.Wish{}); err != nil || len(p.Steps) != 0 {
		t.Errorf("an empty manifest asks for %v, %v", stepsOf(p.Steps), err)
	}
	done, err := c.Apply(ctx, client.Application{Wish: client.Wish{Prune: []string{"tenants/carol", "networks/carol/more"}}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"delete networks/carol/more", "delete tenants/carol"}, stepsOf(done.Steps)); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if list, err := c.Tenants(ctx); err != nil || len(list) != 1 {
		t.Errorf("left are %v, %v", list, err)
	}
}

// What is wrong with a manifest is told with its place, and nothing is done.
func TestWrongManifest(t *testing.T) {
	c := start(t)
	ctx := t.Context()
	c.register(t, "h1")
	wish := twoTenants()
	wish.Manifest.Tenants[0].Networks[0].Subnets[0] = "10.0.9.0/33"
	_, err := c.Apply(ctx, client.Application{Wish: wish})
	var refused *client.Problem
	if !errors.As(err, &refused) {
		t.Fatal(err)
	}
	path, message, ok := refused.ManifestPlace()
	if !ok || path != "tenants[0].networks[0].subnets[0]" || !strings.Contains(message, "ADDRESS/LENGTH") || refused.Status != http.StatusUnprocessableEntity {
		t.Errorf("it is refused with %+v", refused)
	}
	wish = twoTenants() // both subnets of carol overlap, which only shows when the first is there
	wish.Manifest.Tenants[0].Networks = append(wish.Manifest.Tenants[0].Networks, manifest.DeclaredNetwork{Name: "last", Subnets: []string{"10.0.9.128/25"}})
	_, err = c.Plan(ctx, wish)
	if !errors.As(err, &refused) {
		t.Fatal(err)
	}
	if path, message, ok := refused.ManifestPlace(); !ok || path != "tenants[0].networks[1]" || !strings.Contains(message, "carol/more") {
		t.Errorf("it is refused with %+v", refused)
	}
	for _, name := range []string{"alice", "hosts/h1", "tenants/", "ports/h1/a/b/c"} {
		if _, err := c.Plan(ctx, client.Wish{Prune: []string{name}}); !errors.As(err, &refused) || refused.Status != http.StatusUnprocessableEntity {
			t.Errorf("prune %s: %v", name, err)
		}
	}
	if _, _, ok := (&client.Problem{}).ManifestPlace(); ok {
		t.Error("a problem of no manifest has a place in it")
	}
	if list, err := c.Tenants(ctx); err != nil || len(list) != 0 {
		t.Errorf("made were %v, %v", list, err)
	}
}

// docs/manifest.schema.json describes a manifest to editors: it is what the API describes.
func TestDocsOfManifests(t *testing.T) {
	var served struct {
		Components struct{ Schemas map[string]map[string]any }
	}
	if err := json.Unmarshal([]byte(start(t).text(t, "GET /openapi.json")), &served); err != nil {
		t.Fatal(err)
	}
	defs := map[string]any{}
	for left := []string{"Manifest"}; len(left) > 0; left = left[1:] {
		schema := served.Components.Schemas[left[0]]
		if schema == nil {
			t.Fatalf("the API describes no %s", left[0])
		}
		defs[left[0]] = schema
		text, err := json.Marshal(schema)
		if err != nil {
			t.Fatal(err)
		}
		for _, ref := range regexp.MustCompile(`"#/components/schemas/(\w+)"`).FindAllSubmatch(text, -1) {
			if name := string(ref[1]); defs[name] == nil && !slices.Contains(left, name) {
				left = append(left, name)
			}
		}
	}
	schema := map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Sluice manifest",
		"$ref": "#/$defs/Manifest", "$defs": defs,
	}
	text, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(bytes.ReplaceAll(text, []byte("#/components/schemas/"), []byte("#/$defs/")), '\n')
	const path = "../../docs/manifest.schema.json"
	if *update {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(text), string(kept)); diff != "" {
		t.Errorf("%s is stale, run make docs (-want +got):\n%s", path, diff)
	}
}
