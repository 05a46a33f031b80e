package entry

import (
	"net/http"
	"slices"
	"testing"

	"sluice/store"
)

func TestCookiesStay(t *testing.T) {
	name := &standing{Route: Route{Route: store.Route{Host: "a.example", Path: "/"}}}
	kept := &standing{Route: Route{Route: store.Route{Host: "hub.example", Path: "/a/", Shared: true}}}
	stripped := &standing{Route: Route{Route: store.Route{Host: "hub.example", Path: "/a/", Shared: true, Strip: true}}}
	for _, tc := range []struct {
		route    *standing
		is, want string
	}{
		{name, "s=1", "s=1"},
		{name, "s=1; Domain=example; Path=/x; Secure", "s=1; Secure; Path=/x"},
		{name, "s=1;DOMAIN=.example;domain=a.example", "s=1"},
		{name, "s=1; \tDomain \t= example", "s=1"},
		{name, "s=1; Domain", "s=1"},
		{name, "__Host-s=1; Secure; Path=/", "__Host-s=1; Secure; Path=/"},
		{kept, "s=1", "s=1"},
		{kept, "s=1; Path=/", "s=1; Path=/a/"},
		{kept, "s=1; Path=/b/", "s=1; Path=/a/"},
		{kept, "s=1; Path=/a/x", "s=1; Path=/a/x"},
		{kept, "s=1; Path=/a/x; PATH=/b/", "s=1; Path=/a/"},
		{kept, "s=1; Path=/a/../b/", "s=1; Path=/a/"},
		{kept, "s=1; Path=nonsense", "s=1; Path=/a/"},
		{stripped, "s=1; Path=/", "s=1; Path=/a/"},
		{stripped, "s=1; Path=/x; HttpOnly", "s=1; HttpOnly; Path=/a/x"},
		{stripped, "s=1; Path=/a/x", "s=1; Path=/a/x"},
		{stripped, "s=1; Path=/../b", "s=1; Path=/a/"},
		{name, "login=1", ""},
		{name, " login =1; Path=/", ""},
	} {
		h := http.Header{"Set-Cookie": {tc.is}}
		confineCookies(h, tc.route, []string{"login"})
		if got := h.Get("Set-Cookie"); got != tc.want {
			t.Errorf("%s under %s becomes %q, want %q", tc.is, tc.route.Route, got, tc.want)
		}
	}
	h := http.Header{"Cookie": {"a=1; login=secret", "login=other;b=2", "login=x"}}
	withoutCookies(h, []string{"login"})
	if got := h.Values("Cookie"); !slices.Equal(got, []string{"a=1; b=2"}) {
		t.Errorf("containers see %q", got)
	}
	h = http.Header{"Cookie": {"login=x"}}
	withoutCookies(h, []string{"login"})
	if len(h) != 0 {
		t.Errorf("containers see %q", h)
	}
}

// A container that does not know its path sends the browser on under it, and nowhere that it did not mean.
func TestRelocated(t *testing.T) {
	s := &standing{Route: Route{Route: store.Route{Host: "hub.example", Path: "/a/", Strip: true}}}
	for at, want := range map[string]string{
		"/x": "/a/x", "/a/x": "/a/x", "/": "/a/", "x": "x", "../x": "../x", "?q": "?q", "//other.example/x": "//other.example/x",
		"http://hub.example:80/x?q#f": "http://hub.example:80/a/x?q#f", "https://other.example/x": "https://other.example/x",
		"/x%2Fy": "/a/x%2Fy", "mailto:a@example": "mailto:a@example", "%": "%",
	} {
		if got := s.relocated(at, "hub.example:80"); got != want {
			t.Errorf("%s leads to %s, want %s", at, got, want)
		}
	}
}
