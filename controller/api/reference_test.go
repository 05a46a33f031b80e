package api_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"sluice/internal/golden"
)

// TestDocsOfTheReference keeps docs/api.md what docs/openapi.json says.
func TestDocsOfTheReference(t *testing.T) {
	text, err := os.ReadFile("../../docs/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	r := &reference{}
	if err := json.Unmarshal(text, r); err != nil {
		t.Fatal(err)
	}
	page := r.page()
	for path, methods := range r.Paths {
		for method := range methods {
			if !strings.Contains(page, "`"+strings.ToUpper(method)+" "+path+"`") {
				t.Errorf("%s %s is missing", method, path)
			}
		}
	}
	golden.Check(t, "../../docs/api.md", []byte(page), *update)
}

// reference is what the page is made from.
type reference struct {
	Tags  []struct{ Name, Description string }
	Paths map[string]map[string]struct {
		Summary, Description string
		Tags                 []string
		Parameters           []struct {
			Name, In, Description string
			Required              bool
			Schema                schema
		}
		RequestBody struct{ Content content }
		Responses   map[string]struct {
			Content content
			Headers map[string]struct{ Description string }
		}
	}
	Components struct{ Schemas map[string]schema }
}

type content map[string]struct{ Schema schema }

// schema is a type of JSON. Where several types are allowed Type is a list.
type schema struct {
	Ref                  string `json:"$ref"`
	Type                 any
	Format, Description  string
	Enum                 []any
	Default              any
	Items                *schema
	AdditionalProperties any
	Properties           map[string]schema
	Required             []string
}

// said is a type in words: "text", "list of Tenant".
func (s *schema) said() string {
	if s.Ref != "" {
		name := path.Base(s.Ref)
		return fmt.Sprintf("[%s](#%s)", name, strings.ToLower(name))
	}
	kind := fmt.Sprint(s.Type)
	if list, several := s.Type.([]any); several {
		kind = fmt.Sprint(list[0]) // the other one is null
	}
	switch kind {
	case "array":
		return "list of " + s.Items.said()
	case "string":
		return "text" + in(s.Format) + oneOf(s.Enum)
	case "object":
		return "object"
	case "<nil>":
		return "any"
	}
	return kind + oneOf(s.Enum)
}

func in(format string) string {
	if format == "" {
		return ""
	}
	return " (" + format + ")"
}

func oneOf(values []any) string {
	if len(values) == 0 {
		return ""
	}
	var texts []string
	for _, v := range values {
		texts = append(texts, fmt.Sprint(v))
	}
	return ": " + strings.Join(texts, ", ")
}

// cell is a text within a table.
func cell(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "|", "\\|"), "\n", " ")
}

const preface = `# The API

This page is made from [openapi.json](openapi.json), which each controller serves at /openapi.json.

- **Who asks** is said by a token, as header Authorization: Bearer TOKEN, or by a person's certificate. [Who may use the API](operations.md#who-may-use-the-api) says who may what.
- **Refusals** are problem documents (RFC 9457): status, title, and detail, which is a sentence for people. 401, 403, 404, 409, 412, 422, 429 and 503 mean what they mean elsewhere.
- **Lists** come in parts of 1,000: the header Sluice-Continue of an answer is the parameter continue of the next request.
- **Changes that are safe** send the ETag of what was read as If-Match, and are refused with 412 where the object is another one by then.
- **Watch** what changes at GET /v1/watch, as server-sent events.
- **In Go**, package sluice/controller/client is the client that the command line uses, and brings no more than types: Dial makes one, its methods are named as the operations here, and errors.Is tells kinds of refusals, such as client.ErrNotFound. Its examples run against a real controller.

`

func (r *reference) page() string {
	var b bytes.Buffer
	b.WriteString(preface)
	for _, tag := range r.Tags {
		fmt.Fprintf(&b, "## %s\n\n%s\n", tag.Name, tag.Description)
		for _, route := range slices.Sorted(maps.Keys(r.Paths)) {
			for _, method := range []string{"get", "post", "put", "delete"} {
				if op, is := r.Paths[route][method]; is && op.Tags[0] == tag.Name {
					r.operation(&b, method, route)
				}
			}
		}
		b.WriteString("\n")
	}
	b.WriteString("## Objects\n")
	for _, name := range slices.Sorted(maps.Keys(r.Components.Schemas)) {
		r.object(&b, name)
	}
	return b.String()
}

func (r *reference) operation(b *bytes.Buffer, method, route string) {
	op := r.Paths[route][method]
	fmt.Fprintf(b, "\n### `%s %s`\n\n%s.", strings.ToUpper(method), route, op.Summary)
	if op.Description != "" {
		fmt.Fprintf(b, " %s", op.Description)
	}
	b.WriteString("\n")
	if len(op.Parameters) > 0 {
		b.WriteString("\n| parameter | in | type | |\n|---|---|---|---|\n")
	}
	for _, p := range op.Parameters {
		text := p.Description
		if p.Required && p.In != "path" {
			text = strings.TrimSpace("required. " + text)
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", p.Name, p.In, cell(p.Schema.said()), cell(text))
	}
	b.WriteString("\n")
	for _, c := range op.RequestBody.Content {
		fmt.Fprintf(b, "Body: %s. ", c.Schema.said())
	}
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		for kind, c := range op.Responses[status].Content {
			if strings.HasPrefix(status, "2") {
				fmt.Fprintf(b, "Answer %s: %s%s.", status, cmp.Or(map[string]string{"text/event-stream": "events, each with a "}[kind]), c.Schema.said())
			}
		}
	}
	b.WriteString("\n")
}

func (r *reference) object(b *bytes.Buffer, name string) {
	s := r.Components.Schemas[name]
	fmt.Fprintf(b, "\n### %s\n\n", name)
	if s.Description != "" {
		fmt.Fprintf(b, "%s\n\n", s.Description)
	}
	if len(s.Properties) == 0 {
		fmt.Fprintf(b, "%s\n", s.said())
		return
	}
	b.WriteString("| field | type | |\n|---|---|---|\n")
	for _, field := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[field]
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", field, cell(p.said()), cell(p.Description))
	}
}
