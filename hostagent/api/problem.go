package api

import (
	"errors"
	"fmt"
	"net/http"
)

// ContentTypeProblem is the media type of problem details (RFC 9457, section 3).
const ContentTypeProblem = "application/problem+json"

// Problem is an agent's refusal or failure (RFC 9457). Detail is the whole message.
type Problem struct {
	Type   string `json:"type,omitempty"` // empty: about:blank
	Title  string `json:"title"`
	Status int    `json:"status"` // an HTTP status code
	Detail string `json:"detail"`
}

func (p *Problem) Error() string { return p.Detail }

// NewProblem is a problem with the status's own title.
func NewProblem(status int, format string, args ...any) *Problem {
	return &Problem{Title: http.StatusText(status), Status: status, Detail: fmt.Sprintf(format, args...)}
}

// IsNotFound reports whether err says that the port, network or tenant does not exist.
func IsNotFound(err error) bool { return hasStatus(err, http.StatusNotFound) }

// IsConflict reports whether err says that what was asked for is taken.
func IsConflict(err error) bool { return hasStatus(err, http.StatusConflict) }

// IsTooMany reports whether err says that this is asked for too often.
func IsTooMany(err error) bool { return hasStatus(err, http.StatusTooManyRequests) }

func hasStatus(err error, status int) bool {
	var p *Problem
	return errors.As(err, &p) && p.Status == status
}
