package client

import (
	"context"
	"net/http"
	"strings"

	"sluice/store"
	"sluice/store/manifest"
)

// Wish is what the cluster is to be like.
type Wish struct {
	Manifest manifest.Manifest `json:"manifest"`
	Prune    []string          `json:"prune,omitempty" doc:"objects to remove, by name; nothing else is removed" example:"[\"tenants/bob\",\"networks/alice/db\"]"`
}

// Plan is what would be written to bring a wish about, and which flows that changes.
type Plan struct {
	Revision store.Revision `json:"revision"` // of the state that it was made from
	// Digest stands for all that the plan says but its revision. Whoever applies it may ask for just that.
	Digest   string     `json:"digest"`
	Steps    []PlanStep `json:"steps"` // in the order in which they are taken; none: the cluster is so
	Hosts    []PlanHost `json:"hosts"` // whose flows change
	Flows    []Flow     `json:"flows"` // each with its change
	Problems []string   `json:"problems,omitempty"`
}

// PlanStep is one object that is written, in a transaction of its own.
type PlanStep struct {
	Object string           `json:"object" example:"tenants/alice"`
	Change string           `json:"change" enum:"create,update,delete"`
	Fields []manifest.Field `json:"fields,omitempty"`
	Values []string         `json:"values,omitempty" doc:"numbers that it takes"`
}

// PlanHost counts the flows of a host that change.
type PlanHost struct {
	Host   string `json:"host"`
	Add    int    `json:"add"`
	Modify int    `json:"modify"`
	Delete int    `json:"delete"`
}

// Application is a wish to bring about, and the plan that it must be.
type Application struct {
	Wish
	Digest string `json:"digest,omitempty" doc:"of the plan; refused if that is not what would be done now"`
}

// Applied is what was done.
type Applied struct {
	Revision store.Revision `json:"revision"` // of the last step; 0: there was nothing to do
	Steps    []PlanStep     `json:"steps"`
}

// Plan asks what would be written and which flows would change.
func (c *Client) Plan(ctx context.Context, w Wish) (Plan, error) {
	return do[Plan](ctx, c, http.MethodPost, "/v1/plan", w)
}

// Apply brings a wish about.
func (c *Client) Apply(ctx context.Context, a Application) (Applied, error) {
	return do[Applied](ctx, c, http.MethodPost, "/v1/apply", a)
}

// Export declares a tenant, or all where the name is empty, as they are.
func (c *Client) Export(ctx context.Context, tenant string) (manifest.Manifest, error) {
	return get[manifest.Manifest](ctx, c, with("/v1/manifest", query("tenant", tenant)), nil)
}

// ManifestPlace is the path of the manifest that a problem is about; not ok: it is about none.
func (p *Problem) ManifestPlace() (path, message string, ok bool) {
	for _, e := range p.Errors {
		if path, ok := strings.CutPrefix(e.Location, manifestPath); ok {
			return path, e.Message, true
		}
	}
	return "", "", false
}

// manifestPath is where a manifest stands in the body of a request.
const manifestPath = "body.manifest."
