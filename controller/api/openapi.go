package api

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
)

// Ways to prove who asks, as /openapi.json names them.
const (
	proofToken       = "token"
	proofCookie      = "cookie"
	proofCertificate = "certificate"
)

// describe says in the OpenAPI description what no route says by itself.
func describe(o *huma.OpenAPI) {
	o.Info.License = &huma.License{Name: "Apache License 2.0", Identifier: "Apache-2.0"}
	o.Servers = []*huma.Server{{URL: "/", Description: "the controller that answers"}}
	o.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		proofToken:       {Type: "http", Scheme: "bearer", Description: "a token that sluice token create made, or the one that root of the controller's machine can read"},
		proofCookie:      {Type: "apiKey", In: "cookie", Name: access.Cookie, Description: "the same, as a browser keeps it; for reading alone"},
		proofCertificate: {Type: "mutualTLS", Description: "a person's certificate, for whom sluice token create --person was said"},
	}
	for _, tag := range []struct{ name, text string }{
		{"tenants", "Units of isolation, counters and quota."},
		{"networks", "The layer 2 segments of tenants."},
		{"peerings", "Which tenants reach each other, as both agreed."},
		{"publications", "Ports of containers that the outside reaches by their tenants' gateway hosts."},
		{"hosts", "Machines with a switch and an agent."},
		{"ports", "The attachments of containers, which hosts' agents make."},
		{"stickies", "MACs and addresses that stay with the names of ports that are gone."},
		{"gateways", "Through which host each tenant's egress leaves."},
		{"flows", "What switches hold, and what they should."},
		{"watch", "What changes, as it changes."},
		{"events", "What happened, for operators: counted where it happens again."},
		{"status", "The cluster at a glance."},
		{"tokens", "Who may use the API."},
		{"tidy", "What is left over of objects that are not there."},
		{"manifests", "What people declare of the cluster in a file: plan it, apply it, export it."},
	} {
		o.Tags = append(o.Tags, &huma.Tag{Name: tag.name, Description: tag.text})
	}
}

// proofs are the ways to prove who asks that a route takes, any one of them.
func proofs(method string) []map[string][]string {
	list := []map[string][]string{{proofToken: {}}, {proofCertificate: {}}}
	if method == http.MethodGet {
		list = append(list, map[string][]string{proofCookie: {}})
	}
	return list
}
