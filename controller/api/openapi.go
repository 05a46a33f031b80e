package api

import "github.com/danielgtaylor/huma/v2"

// Ways to prove who asks, as /openapi.json names them.
const (
	schemeToken  = "token"
	schemeCookie = "cookie"
)

// describe says in the OpenAPI description what no route says by itself.
func describe(o *huma.OpenAPI) {
	o.Info.License = &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}
}
