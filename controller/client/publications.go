package client

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"sluice/store"
)

// Publication lets the outside open connections to a container, by an address of its tenant's gateway host or a floating one that is there.
type Publication struct {
	Tenant     string         `json:"tenant"`
	Name       string         `json:"name" doc:"its protocol and its ports on the host, such as tcp-8080"`
	Network    string         `json:"network"`
	Port       string         `json:"port"`
	Protocol   store.Protocol `json:"protocol" enum:"tcp,udp"`
	Ports      string         `json:"ports" doc:"of the container: one, or the first and the last of several"`
	On         string         `json:"on,omitempty" doc:"of the gateway host or of the floating address, as many; none: it has a route"`
	Floating   netip.Addr     `json:"floating,omitzero" doc:"the floating address that it is on: it goes along with the gateway; none: the gateway host's own addresses"`
	KeepSource bool           `json:"keepSource" doc:"whether the container sees who comes, and not the gateway host"`
	ByPort     bool           `json:"byPort,omitempty" doc:"whether the port publishes this itself, as its runtime asked: it goes with the port"`
	Route      *Route         `json:"route,omitempty" doc:"by which it is reached at the entry of any host; none: by ports of the gateway host"`
	Host       string         `json:"host,omitempty" doc:"the gateway host now; after the gateway moved, another one"`
	Addresses  []netip.Addr   `json:"addresses" doc:"those that let in: the floating one, or those of that host by which its uplinks are reached"`
	Entries    []string       `json:"entries,omitempty" doc:"of a route: where hosts take requests, as ADDRESS:PORT; not in lists"`
	Last       *time.Time     `json:"last,omitempty" doc:"of a route: when something passed last, two minutes late at most; none: never"`
	Why        string         `json:"why,omitempty" doc:"why nothing is let in now"`
	Modified   store.Revision `json:"modified" doc:"at which it was written last"`
}

// Route is the address of the web by which a publication is reached.
type Route struct {
	Host   string `json:"host" example:"alice.example" doc:"a DNS name"`
	Path   string `json:"path,omitempty" example:"/alice/" doc:"none: all of the name"`
	Strip  bool   `json:"strip,omitempty" doc:"have the container see paths without it"`
	Shared bool   `json:"shared,omitempty" doc:"let other tenants have paths of the name, though browsers do not keep them apart"`
}

// PublicationSpec is what a client says about a new publication.
type PublicationSpec struct {
	Tenant     string     `json:"tenant" example:"alice"`
	Network    string     `json:"network,omitempty" doc:"none: default"`
	Port       string     `json:"port" example:"web" doc:"the name of a port of the tenant, which is there"`
	Protocol   string     `json:"protocol" enum:"tcp,udp"`
	Ports      string     `json:"ports" example:"80" doc:"of the container: one, or the first and the last of several"`
	On         string     `json:"on,omitempty" example:"8080" doc:"of the gateway host, as many; none: the same"`
	Floating   netip.Addr `json:"floating,omitzero" example:"203.0.113.50" doc:"a floating address, one of those that the operator lets float; none: the gateway host's own"`
	KeepSource bool       `json:"keepSource,omitempty" doc:"let the container see who comes"`
	Route      *Route     `json:"route,omitempty" doc:"reach it by this at the entry of any host, and by no port of the gateway host"`
}

// Publications lists what a tenant publishes, or what all do.
func (c *Client) Publications(ctx context.Context, tenant string) ([]Publication, error) {
	return getAll[Publication](ctx, c, "/v1/publications", query("tenant", tenant))
}

// Publication shows one publication.
func (c *Client) Publication(ctx context.Context, tenant, name string) (Publication, error) {
	return get[Publication](ctx, c, path("publications", tenant, name), nil)
}

// Publish publishes ports of a container.
func (c *Client) Publish(ctx context.Context, spec PublicationSpec) (Publication, error) {
	return do[Publication](ctx, c, http.MethodPost, "/v1/publications", spec)
}

// Unpublish ends a publication.
func (c *Client) Unpublish(ctx context.Context, tenant, name string) (Deleted, error) {
	return do[Deleted](ctx, c, http.MethodDelete, path("publications", tenant, name), nil)
}
