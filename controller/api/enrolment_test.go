package api_test

import (
	"net/http"
	"strings"
	"testing"

	"sluice/pki/join"
	"sluice/store"
)

// Who joins or renews has no token of the API's: it is asked for a secret or a certificate, over TLS
// alone. A controller without the authority's key says so. A host whose certificate was made by hand
// is enrolled by a word.
func TestJoiningThroughTheAPI(t *testing.T) {
	c := start(t)
	for _, path := range []string{join.JoinPath, join.RenewalPath} {
		resp, err := http.Post(c.URL()+path, "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s in the clear: %s", path, resp.Status)
		}
	}
	if resp := c.send(t, "GET "+join.AuthorityPath, "Authorization", ""); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("the authority's certificate of who has no key: %s", resp.Status)
	}
	if _, err := c.EnrolHost(t.Context(), "h9"); err != nil {
		t.Fatal(err)
	}
	o, _, err := c.store.Get(t.Context(), store.EnrolmentKey("h9"))
	if e, _ := o.(*store.Enrolment); err != nil || e == nil || e.By != "local" || !e.NotBefore.IsZero() {
		t.Errorf("enrolled as %+v, %v", o, err)
	}
}
