package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller"
)

// refuse turns an error into a problem document with the error's own text.
func (s *server) refuse(err error) error {
	var already huma.StatusError
	if errors.As(err, &already) {
		return err
	}
	status := statusOf(err)
	if status == http.StatusInternalServerError {
		s.Log.Error("request failed", "err", err)
	}
	return huma.NewError(status, err.Error())
}

// statusOf is the HTTP status of an error of the packages below.
func statusOf(err error) int {
	switch {
	case isType[controller.ErrNotConnected](err):
		return http.StatusServiceUnavailable
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

func isType[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

// absent is the answer about an object that does not exist.
func absent(what, name, list string) error {
	return huma.Error404NotFound(what + " " + name + " does not exist: see sluice " + list)
}

// malformed is the answer to a request that nobody could fulfil.
func malformed(text string) error { return huma.Error400BadRequest(text) }
