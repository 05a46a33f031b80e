package docker

import (
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/hostagent/api"
)

// What Docker would not understand is answered in its form too.
func TestRequestThatIsNoJSON(t *testing.T) {
	d := New(Options{StateDir: t.TempDir(), Agent: api.Dial(t.TempDir() + "/agent.sock"), Log: slog.New(slog.DiscardHandler), Patience: 1})
	for _, c := range []struct{ method, body, says string }{
		{"NetworkDriver.Join", "{", `{"Err":"NetworkDriver.Join: the request is not valid JSON: unexpected EOF"}`},
		{"NetworkDriver.CreateNetwork", `{"Options": {"com.docker.network.generic": {"tenant": "alice"}}}`, "is sluice agent running?"},
	} {
		w := httptest.NewRecorder()
		d.Handler().ServeHTTP(w, httptest.NewRequest("POST", "/"+c.method, strings.NewReader(c.body)))
		if w.Code != 500 || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s: status %d, %s; want 500 and %q", c.method, w.Code, w.Body, c.says)
		}
	}
}

func TestOverdue(t *testing.T) {
	now := time.Now()
	port := func(name string) api.Attachment { return api.Attachment{Interface: name} }
	since := map[string]time.Time{"sl-old": now.Add(-2 * time.Minute), "sl-young": now.Add(-time.Second), "sl-fetched": now.Add(-time.Hour)}
	due, still := overdue([]api.Attachment{port("sl-old"), port("sl-young"), port("sl-new")}, since, now.Add(-time.Minute))
	if diff := cmp.Diff([]api.Attachment{port("sl-old")}, due); diff != "" {
		t.Errorf("due: -want +got\n%s", diff)
	}
	if still["sl-young"] != since["sl-young"] || still["sl-new"].Before(now) || len(still) != 2 {
		t.Errorf("waiting still: %v", still)
	}
}

// Pools that were asked for are used once, and tell whose network is meant.
func TestPools(t *testing.T) {
	alice, bob := standsFor{"alice", "default"}, standsFor{"bob", "default"}
	const prefix = "10.0.0.0/24"
	var p pools
	use := func(s standsFor, refused bool) {
		t.Helper()
		if err := p.use(s, []string{prefix}); (err != nil) != refused {
			t.Errorf("network %s: %v", s, err)
		}
	}
	use(bob, false) // this process was not asked
	p.ask(pool{alice, prefix})
	use(bob, true)
	use(alice, false)
	use(bob, false)
	p.ask(pool{alice, prefix})
	p.asked[0].at = time.Now().Add(-2 * askedFor)
	p.ask(pool{alice, "10.9.0.0/24"})
	use(bob, false) // what nobody used is forgotten
}

func TestHasAll(t *testing.T) {
	n := api.Network{Subnets: []api.Subnet{{Prefix: "10.0.0.0/24"}, {Prefix: "fd00::/64"}}}
	for _, c := range []struct {
		prefixes []string
		want     bool
	}{
		{nil, true},
		{[]string{"fd00::/64", "10.0.0.0/24"}, true},
		{[]string{"10.0.0.0/24", "10.0.1.0/24"}, false},
	} {
		if got := hasAll(n, c.prefixes); got != c.want {
			t.Errorf("%v: %v, want %v", c.prefixes, got, c.want)
		}
	}
}

func TestNetworkOfTwo(t *testing.T) {
	two := []api.Network{{Name: "a"}, {Name: "b"}}
	if got := names(two); got != "a and b" {
		t.Errorf("names: %q", got)
	}
	err := notFound("alice", "c", []string{"10.0.0.0/24", "fd00::/64"}, two)
	for _, want := range []string{"no network c with subnet 10.0.0.0/24 and fd00::/64", "it has: a, b.", "sluice network create alice/c --subnet 10.0.0.0/24 --subnet fd00::/64"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
}

func TestLeases(t *testing.T) {
	l := leases{all: map[string]int{}}
	s := standsFor{"alice", "default"}
	var got []bool
	l.taken(s, "10.0.0.5/24")
	l.taken(s, "10.0.0.5/24")
	for range 3 {
		got = append(got, l.released(s, "10.0.0.5"))
	}
	if want := []bool{false, true, true}; !slices.Equal(got, want) || len(l.all) != 0 {
		t.Errorf("free after each release: %v, want %v; kept %v", got, want, l.all)
	}
}
