package api_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sluice/internal/golden"
)

var update = flag.Bool("update", false, "write docs/openapi.json anew")

// TestDocsOfTheAPI keeps docs/openapi.json what a controller serves. `make openapi` lets redocly lint
// that file, where npm is there.
func TestDocsOfTheAPI(t *testing.T) {
	var served bytes.Buffer
	if err := json.Indent(&served, []byte(start(t).text(t, "GET /openapi.json")), "", " "); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "../../docs/openapi.json", served.Bytes(), *update)
}

// description is what the rules look at of an OpenAPI description.
type description struct {
	OpenAPI string
	Info    struct {
		Title, Version string
		License        struct{ Name, Identifier, URL string }
	}
	Servers    []struct{ URL string }
	Tags       []struct{ Name, Description string }
	Paths      map[string]map[string]operation
	Components struct {
		Schemas         map[string]json.RawMessage
		SecuritySchemes map[string]struct{ Type string }
	}
}

type operation struct {
	OperationID, Summary string
	Tags                 []string
	Security             []map[string][]string
	Parameters           []parameter
	Responses            map[string]struct {
		Description string
		Content     map[string]struct{ Schema json.RawMessage }
	}
}

type parameter struct {
	Name, In string
	Required bool
	Schema   json.RawMessage
}

// rules are those of redocly's recommended set that a description of this shape can break. They are
// here so that they are held also where there is no npm.
var rules = []struct {
	name  string
	check func(d *description, complain func(format string, args ...any))
}{
	{"info-license, no-empty-servers, no-server-trailing-slash", func(d *description, complain func(string, ...any)) {
		if l := d.Info.License; l.Name == "" || (l.URL == "") == (l.Identifier == "") {
			complain("the licence is %+v: it has a name, and a URL or an identifier", l)
		}
		if len(d.Servers) == 0 || strings.Contains(d.Servers[0].URL, "example.com") {
			complain("servers are %v", d.Servers)
		}
	}},
	{"operation-operationId, -unique, -url-safe, operation-summary", func(d *description, complain func(string, ...any)) {
		seen := map[string]string{}
		d.each(func(at string, o operation) {
			if other := seen[o.OperationID]; other != "" {
				complain("%s and %s are both called %s", at, other, o.OperationID)
			}
			if seen[o.OperationID] = at; !regexp.MustCompile(`^[a-z-]+$`).MatchString(o.OperationID) || o.Summary == "" {
				complain("%s has id %q, summary %q", at, o.OperationID, o.Summary)
			}
		})
	}},
	{"operation-2xx-response, operation-4xx-response", func(d *description, complain func(string, ...any)) {
		d.each(func(at string, o operation) {
			codes := strings.Join(slices.Sorted(maps.Keys(o.Responses)), " ")
			if !regexp.MustCompile(`\b2\d\d\b`).MatchString(codes) || !regexp.MustCompile(`\b4\d\d\b`).MatchString(codes) {
				complain("%s answers %s", at, codes)
			}
			for code, r := range o.Responses {
				if r.Description == "" {
					complain("%s: answer %s has no description", at, code)
				}
			}
		})
	}},
	{"security-defined", func(d *description, complain func(string, ...any)) {
		used := map[string]bool{}
		d.each(func(at string, o operation) {
			if len(o.Security) == 0 {
				complain("%s asks for nothing", at)
			}
			for _, way := range o.Security {
				for name := range way {
					used[name] = true
				}
			}
		})
		for name := range used {
			if d.Components.SecuritySchemes[name].Type == "" {
				complain("security scheme %s is not described", name)
			}
		}
	}},
	{"path-parameters-defined, no-ambiguous-paths, path-not-include-query", func(d *description, complain func(string, ...any)) {
		shapes := map[string]string{}
		for path := range d.Paths {
			shape := regexp.MustCompile(`{\w+}`).ReplaceAllString(path, "{}")
			if other := shapes[shape]; other != "" || strings.Contains(path, "?") || strings.HasSuffix(path, "/") {
				complain("path %s is as %s, or no path", path, other)
			}
			shapes[shape] = path
		}
		d.each(func(at string, o operation) {
			var defined, named []string
			for _, p := range o.Parameters {
				if p.In == "path" {
					defined = append(defined, "{"+p.Name+"}")
				}
				if len(p.Schema) == 0 || p.In == "path" && !p.Required {
					complain("%s: parameter %s has no schema, or may lack", at, p.Name)
				}
			}
			named = regexp.MustCompile(`{\w+}`).FindAllString(at, -1)
			if slices.Sort(defined); !slices.Equal(defined, slices.Sorted(slices.Values(named))) {
				complain("%s defines %v", at, defined)
			}
		})
	}},
	{"tag-description, tags that are defined", func(d *description, complain func(string, ...any)) {
		defined := map[string]bool{}
		for _, tag := range d.Tags {
			if defined[tag.Name] = true; tag.Description == "" {
				complain("tag %s has no description", tag.Name)
			}
		}
		d.each(func(at string, o operation) {
			if len(o.Tags) != 1 || !defined[o.Tags[0]] {
				complain("%s has tags %v", at, o.Tags)
			}
		})
	}},
}

// each walks the operations.
func (d *description) each(f func(at string, o operation)) {
	for path, methods := range d.Paths {
		for method, o := range methods {
			f(method+" "+path, o)
		}
	}
}

func TestOpenAPIRules(t *testing.T) {
	text := start(t).text(t, "GET /openapi.json")
	d := &description{}
	if err := json.Unmarshal([]byte(text), d); err != nil {
		t.Fatal(err)
	}
	for _, rule := range rules {
		rule.check(d, func(format string, args ...any) { t.Errorf(rule.name+": "+format, args...) })
	}
	for name := range d.Components.Schemas { // no-unused-components, no-unresolved-refs
		if !strings.Contains(text, fmt.Sprintf(`"$ref":"#/components/schemas/%s"`, name)) {
			t.Errorf("schema %s is not used", name)
		}
	}
}

// Each rule finds what breaks it: an empty description breaks nearly all.
func TestRulesOfOpenAPIFindSomething(t *testing.T) {
	broken := &description{Tags: []struct{ Name, Description string }{{Name: "x"}}, Paths: map[string]map[string]operation{
		"/a/{b}": {"get": {Security: []map[string][]string{{"none": nil}}, Parameters: []parameter{{Name: "c", In: "path"}}}},
		"/a/{c}": {"get": {}},
	}}
	for _, rule := range rules {
		found := 0
		rule.check(broken, func(string, ...any) { found++ })
		if found < 2 {
			t.Errorf("%s finds %d mistakes", rule.name, found)
		}
	}
}
