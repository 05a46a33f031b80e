package api

import (
	"encoding/json"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// listen serves a handler on a unix socket and returns a client of it.
func listen(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "agent.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return Dial(socket)
}

func TestProblemsArriveWhole(t *testing.T) {
	for _, c := range []struct {
		name               string
		status             int
		body               string
		says               string
		notFound, conflict bool
	}{
		{"not found", 404, `{"title":"Not Found","status":404,"detail":"port alice/default/a1 does not exist"}`, "port alice/default/a1 does not exist", true, false},
		{"conflict", 409, `{"title":"Conflict","status":409,"detail":"address 10.0.0.7 is taken"}`, "address 10.0.0.7 is taken", false, true},
		{"no problem document", 500, "broken\n", "no agent of this version: status 500: broken", false, false},
		{"a path that it does not know", 404, "404 page not found\n", "no agent of this version: status 404: 404 page not found", false, false},
		{"empty", 502, "", "no agent of this version: status 502", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := listen(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				w.Write([]byte(c.body))
			})
			_, err := client.Attach(t.Context(), AttachRequest{})
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("error %v, want %q", err, c.says)
			}
			if IsNotFound(err) != c.notFound || IsConflict(err) != c.conflict {
				t.Errorf("not found %v, conflict %v for status %d", IsNotFound(err), IsConflict(err), c.status)
			}
		})
	}
}

func TestRequestsNameTheirPort(t *testing.T) {
	var got []string
	client := listen(t, func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Method+" "+r.URL.RequestURI())
		json.NewEncoder(w).Encode(Attachment{})
	})
	port := DetachRequest{Tenant: "alice", Name: "a1"}
	if err := client.Detach(t.Context(), port); err != nil {
		t.Error(err)
	}
	port.Network = "dmz"
	if _, err := client.Get(t.Context(), port); err != nil {
		t.Error(err)
	}
	very := Attachment{Tenant: "alice", Network: "dmz", Name: "a1", ContainerID: "c1", Interface: "sl-x"}
	if err := client.Detach(t.Context(), very.Detachment()); err != nil {
		t.Error(err)
	}
	want := []string{"DELETE /v1/ports/alice/default/a1", "GET /v1/ports/alice/dmz/a1", "DELETE /v1/ports/alice/dmz/a1?containerID=c1&interface=sl-x"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestNoAgent(t *testing.T) {
	_, err := Dial(filepath.Join(t.TempDir(), "none.sock")).Status(t.Context())
	if err == nil || !strings.Contains(err.Error(), "none.sock") || !strings.Contains(err.Error(), "is sluice agent running?") {
		t.Errorf("error %v, want the socket and what to do", err)
	}
}
