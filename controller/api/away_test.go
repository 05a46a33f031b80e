package api_test

import (
	"strings"
	"testing"

	"sluice/store"
)

// Of a host whose switch has no session here it is said who can read it, and what to do where nobody can.
func TestWhoCanReadAHost(t *testing.T) {
	c := start(t)
	c.put(t, store.LiveControllerKey("c2"), &store.LiveController{API: "http://192.0.2.2:8080"})
	c.put(t, store.LiveControllerKey("c3"), &store.LiveController{})
	for host, tc := range map[string]struct {
		claim *store.Master
		want  string
	}{
		"h1": {nil, ", and no other has claimed it"},
		"h2": {&store.Master{Controller: "c2"}, ", and controller c2 has claimed it: ask that one, with --api http://192.0.2.2:8080"},
		"h3": {&store.Master{Controller: "c3"}, ", and controller c3 has claimed it"},
		"h4": {&store.Master{Controller: "c4", Unreached: true}, ", and controller c4, which has claimed it, does not run"},
		"h5": {&store.Master{Controller: "c2", Unreached: true}, ", nor with controller c2, which has claimed it: is its Open vSwitch running, and does it reach the controllers?"},
		"h6": {&store.Master{Controller: "c1"}, ", which has claimed it: is its Open vSwitch running, and does it reach the controllers?"},
	} {
		c.register(t, host)
		if tc.claim != nil {
			c.put(t, store.MasterKey(host), tc.claim)
		}
		got, err := c.Verify(t.Context(), host)
		if err != nil {
			t.Fatal(err)
		}
		why := got.Hosts[0].Why
		since, after, _ := strings.Cut(why, "Z")
		if !strings.HasPrefix(since, "its switch has no session with controller c1 since 20") || after != tc.want {
			t.Errorf("%s: %s\nwant ...%s", host, why, tc.want)
		}
	}
}
