package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"sluice/store"
)

// An ETag has two parts: the revision at which the object was written last, and what else is shown of it. If-Match
// asks that the object is as of that revision: what is worked out of other objects, such as how many ports a tenant
// has, refuses no change. If-None-Match asks whether all that is shown is the same.

// tagged is an answer about one object.
type tagged[T any] struct {
	ETag string `header:"ETag" doc:"the object's revision, and what else the answer shows: send it as If-Match with a change, or as If-None-Match to see whether there is another"`
	Body T
}

// show answers with what is shown of an object, or that it is what the caller has.
func show[T any](ctx context.Context, modified store.Revision, shown T) (*tagged[T], error) {
	b, err := json.Marshal(shown)
	if err != nil {
		return nil, fmt.Errorf("encode what is shown: %w", err)
	}
	sum := sha256.Sum256(b)
	tag := fmt.Sprintf(`"%d-%s"`, modified, hex.EncodeToString(sum[:8]))
	if asked, _ := ctx.Value(noneMatchKey{}).(string); anyTag(asked, tag) {
		return nil, huma.ErrorWithHeaders(huma.Status304NotModified(), http.Header{"Etag": {tag}})
	}
	return &tagged[T]{tag, shown}, nil
}

// anyTag reports whether a header names a tag. A weak one means the same here.
func anyTag(header, tag string) bool {
	list := strings.Split(header, ",")
	return slices.ContainsFunc(list, func(one string) bool {
		one = strings.TrimSpace(one)
		return one == "*" || strings.TrimPrefix(one, "W/") == tag
	})
}

type noneMatchKey struct{}
type matchKey struct{}

// conditionOf is where an operation keeps that it takes If-Match.
const conditionOf = "condition"

// conditional is an operation on one object that may ask that the object is as of a revision, or, of a GET, that it
// is shown only where it is another one.
func conditional(op huma.Operation) huma.Operation {
	op.Metadata[conditionOf] = true
	param := &huma.Param{Name: "If-Match", In: "header", Schema: &huma.Schema{Type: huma.TypeString}, Example: `"42"`,
		Description: "the ETag of the object as it was read: if it is another one by now, nothing is written and the answer is 412"}
	status, text := http.StatusPreconditionFailed, "The object is no longer as If-Match says."
	if op.Method == http.MethodGet {
		param.Name, param.Description = "If-None-Match", "the ETag of an answer that the caller has: if it still holds, the answer is 304, without a body"
		status, text = http.StatusNotModified, "What the caller has still holds."
	} else {
		op.Errors = append(op.Errors, status)
	}
	op.Parameters = append(op.Parameters, param)
	if status == http.StatusNotModified {
		op.Responses = map[string]*huma.Response{strconv.Itoa(status): {Description: text}}
	}
	return op
}

// conditions reads the conditions of a request into its context. If-Match where it would not be looked at is refused:
// whoever sends it relies on it.
func conditions(ctx huma.Context) (huma.Context, error) {
	if none := ctx.Header("If-None-Match"); none != "" && ctx.Method() == http.MethodGet {
		ctx = huma.WithValue(ctx, noneMatchKey{}, none)
	}
	match := ctx.Header("If-Match")
	if match == "" {
		return ctx, nil
	}
	if takes, _ := ctx.Operation().Metadata[conditionOf].(bool); !takes || ctx.Method() == http.MethodGet {
		return ctx, fmt.Errorf("the header If-Match is not looked at for %s %s", ctx.Method(), ctx.Operation().Path)
	}
	if match == "*" { // any
		return ctx, nil
	}
	modified, err := matched(match)
	if err != nil {
		return ctx, err
	}
	return huma.WithValue(ctx, matchKey{}, modified), nil
}

// matched is the revision that If-Match asks for; 0: the object was never written.
func matched(header string) (store.Revision, error) {
	tag, opens := strings.CutPrefix(header, `"`)
	tag, closes := strings.CutSuffix(tag, `"`)
	number, _, _ := strings.Cut(tag, "-")
	modified, err := strconv.ParseInt(number, 10, 64)
	if !opens || !closes || err != nil || modified < 0 {
		return 0, errors.New(`the header If-Match is to be one ETag of an answer of this API, such as "42", or *`)
	}
	return store.Revision(modified), nil
}

// match is what a request presumes of the object that it changes.
func match(ctx context.Context, key store.Key) []store.Presumption {
	if modified, asked := ctx.Value(matchKey{}).(store.Revision); asked {
		return []store.Presumption{store.AsOf(key, modified)}
	}
	return nil
}
