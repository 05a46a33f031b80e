package hostagent

import (
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/hostagent/api"
	"sluice/hostagent/socket"
	"sluice/store"
)

func TestAnswer(t *testing.T) {
	for _, c := range []struct {
		name        string
		v           any
		err         error
		status      int
		kind, holds string
	}{
		{"a value", api.Status{Host: "h1"}, nil, 200, "application/json", `"host":"h1"`},
		{"nothing", nil, nil, 204, "", ""},
		{"a problem", nil, api.NewProblem(422, "no such tenant"), 422, api.ContentTypeProblem, `"detail":"no such tenant"`},
		{"the store's error", nil, fmt.Errorf("port x: %w", store.ErrNotFound), 404, api.ContentTypeProblem, `"title":"Not Found"`},
		{"any other", api.Status{}, fmt.Errorf("broken"), 500, api.ContentTypeProblem, `"detail":"broken"`},
	} {
		w := httptest.NewRecorder()
		answer(w, c.v, c.err)
		if w.Code != c.status || w.Header().Get("Content-Type") != c.kind || !strings.Contains(w.Body.String(), c.holds) {
			t.Errorf("%s: status %d, type %q, body %s; want %d, %q, %s",
				c.name, w.Code, w.Header().Get("Content-Type"), w.Body, c.status, c.kind, c.holds)
		}
	}
	w := httptest.NewRecorder()
	answer(w, nil, nil)
	if w.Body.Len() > 0 {
		t.Errorf("nothing is answered as %q", w.Body)
	}
}

func TestRequestThatIsNoJSON(t *testing.T) {
	w := httptest.NewRecorder()
	newAgent(testOptions(), nil).handler().ServeHTTP(w, httptest.NewRequest("POST", api.PathPorts, strings.NewReader("{")))
	if w.Code != 400 || !strings.Contains(w.Body.String(), "not valid JSON") {
		t.Errorf("status %d, %s; want 400 and why", w.Code, w.Body)
	}
}

// Whoever asks for more than this agent knows is told so, and gets nothing half: neither an attach without what it asked
// for, nor "not found", which a runtime takes for a port that is gone.
func TestRequestOfAnotherVersion(t *testing.T) {
	agent := newAgent(testOptions(), nil).handler()
	for _, c := range []struct{ method, path, body, says string }{
		{"POST", api.PathPorts, `{"tenant":"alice","name":"a1","mirror":true}`, `the request has an unknown field \"mirror\": who asks is of another version`},
		{"POST", api.PathPorts + "/alice/default/a1/mirror", "{}", "this agent has no POST /v1/ports/alice/default/a1/mirror: who asks is of another version"},
		{"PATCH", api.PathPorts, "{}", "this agent has no PATCH /v1/ports"},
	} {
		w := httptest.NewRecorder()
		agent.ServeHTTP(w, httptest.NewRequest(c.method, c.path, strings.NewReader(c.body)))
		if w.Code != 501 || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s %s: status %d, %s; want 501 and %q", c.method, c.path, w.Code, w.Body, c.says)
		}
	}
}

func TestRequestThatIsTooLarge(t *testing.T) {
	w := httptest.NewRecorder()
	body := `{"name":"` + strings.Repeat("x", maxRequest) + `"}`
	newAgent(testOptions(), nil).handler().ServeHTTP(w, httptest.NewRequest("POST", api.PathPorts, strings.NewReader(body)))
	if w.Code != 413 || !strings.Contains(w.Body.String(), "more than") {
		t.Errorf("status %d, %s; want 413 and why", w.Code, w.Body)
	}
}

func TestListen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "agent.sock")
	stale, err := socket.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v, error %v; want mode 0600", info, err)
	}
	if _, err := socket.Listen(path); err == nil || !strings.Contains(err.Error(), "in use by another agent") {
		t.Errorf("a second agent on the socket: %v", err)
	}
	stale.(*net.UnixListener).SetUnlinkOnClose(false) // as after a kill
	stale.Close()
	again, err := socket.Listen(path)
	if err != nil {
		t.Fatalf("where a killed agent left its socket: %v", err)
	}
	again.Close()
	if err := os.MkdirAll(filepath.Join(path, "something"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := socket.Listen(path); err == nil || !strings.Contains(err.Error(), "remove the stale socket") {
		t.Errorf("in place of a directory with something in it: %v", err)
	}
}
