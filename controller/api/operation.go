package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
)

// needOf is where an operation keeps what it asks of its caller.
const needOf = "need"

// operation describes one route, and what it asks of its caller. The summary is shown in
// /openapi.json.
func operation(id, method, path, tag, summary string, need access.Need) huma.Operation {
	op := huma.Operation{
		OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{tag},
		DefaultStatus: http.StatusOK, Metadata: map[string]any{needOf: need},
		BodyReadTimeout: -1, // package access has read the body
	}
	if method == http.MethodPost {
		op.DefaultStatus = http.StatusCreated
	}
	op.Errors, op.Security = refusals(method, path), proofs(method)
	return op
}

// refusals are the statuses with which a route may refuse, besides 422 of whatever takes parameters.
func refusals(method, path string) []int {
	list := []int{
		http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusUnprocessableEntity,
		http.StatusTooManyRequests, http.StatusServiceUnavailable,
	}
	if strings.Contains(path, "{") || method == http.MethodPost {
		list = append(list, http.StatusNotFound)
	}
	if method != http.MethodGet {
		list = append(list, http.StatusConflict)
	}
	if method == http.MethodPost {
		list = append(list, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	return list
}

// admit says why a request may not go on to its operation, and the status of that answer. A path
// that names another tenant than the caller's is answered as one of a tenant that does not exist.
func admit(ctx huma.Context) (status int, err error) {
	need, _ := ctx.Operation().Metadata[needOf].(access.Need) // none: nobody meets it
	if status, err := access.Check(ctx.Context(), need); err != nil {
		return status, err
	}
	if err := checkNames(ctx); err != nil {
		return http.StatusBadRequest, err
	}
	if tenant := ctx.Param("tenant"); tenant != "" && !access.From(ctx.Context()).Sees(tenant) {
		return http.StatusNotFound, absent("tenant", tenant, "tenant list")
	}
	return 0, nil
}

// visibleTenant is the tenant by which a list is filtered, where a caller asks for one or for all: a
// tenant's own caller sees no other's.
func visibleTenant(ctx context.Context, asked string) (string, error) {
	caller := access.From(ctx)
	switch {
	case asked == "":
		return caller.Tenant, nil
	case !caller.Sees(asked):
		return "", absent("tenant", asked, "tenant list")
	}
	return asked, nil
}
