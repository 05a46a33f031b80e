package api

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sluice/controller/access"
	"sluice/controller/enrol"
)

// The audit log says whose request was signed, and at which revision the host is enrolled.
func TestAuditLogNamesWhoJoined(t *testing.T) {
	var log bytes.Buffer
	guard := access.New(access.Options{Audit: slog.New(slog.NewJSONHandler(&log, nil)), Log: slog.New(slog.DiscardHandler)})
	join := guard.Beside(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		noteSigned(r.Context(), enrol.Signed{Object: "enrolment of host h1", Revision: 7})
	}))
	join.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/v1/join", nil))
	if line := log.String(); !strings.Contains(line, `"object":"enrolment of host h1"`) || !strings.Contains(line, `"rev":7`) {
		t.Errorf("the line is %s", line)
	}
}
