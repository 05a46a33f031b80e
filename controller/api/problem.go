package api

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/enrol"
	"sluice/controller/host"
	"sluice/store"
	"sluice/store/httpstatus"
)

// refuse turns an error into a problem document with the error's own text.
func (s *server) refuse(err error) error {
	status := statusOf(err)
	if status == http.StatusInternalServerError {
		s.Log.Error("request failed", "err", err)
	}
	return huma.NewError(status, err.Error())
}

// statusOf is the HTTP status of an error of the packages below.
func statusOf(err error) int {
	var away host.ErrNotConnected
	var unknown host.ErrUnknown
	switch {
	case errors.As(err, &away):
		return http.StatusServiceUnavailable
	case errors.Is(err, enrol.ErrNoKey):
		return http.StatusServiceUnavailable
	case errors.As(err, &unknown):
		return http.StatusNotFound
	}
	return httpstatus.Of(err)
}

// checkNames refuses a path with a name that no object has, such as "h1/alice".
func checkNames(ctx huma.Context) error {
	for _, what := range []string{"tenant", "network", "host", "port", "token", "publication"} {
		if !strings.Contains(ctx.Operation().Path, "{"+what+"}") {
			continue
		}
		if err := store.ValidateName(ctx.Param(what)); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return nil
}

// absent is the answer about an object that does not exist.
func absent(what, name, list string) error {
	return huma.Error404NotFound(what + " " + name + " does not exist: see sluice " + list)
}

// unseen explains why what was just created cannot be shown, where that is so.
func unseen(err error, what, name string, rev store.Revision) error {
	if err == nil {
		return nil
	}
	return huma.Error503ServiceUnavailable(fmt.Sprintf(
		"%s %s was created at revision %d, but this controller has not seen it yet: see sluice status", what, name, rev))
}

// malformed is the answer to a request that nobody could fulfil.
func malformed(text string) error { return huma.Error422UnprocessableEntity(text) }
