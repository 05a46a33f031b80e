package api_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/controller"
	"sluice/controller/api"
	"sluice/controller/client"
	"sluice/datapath/openflow"
	"sluice/pki"
	"sluice/store"
)

// reader is a controller that read switches: the one of the test under another name, with what it read.
type reader struct {
	*controller.Controller
	name  string
	live  []openflow.FlowStats // what a switch holds now that has a session; nil: none has
	kept  []openflow.FlowStats
	at    time.Time // when kept was read; zero: nothing is
	asked atomic.Int32
}

func (r *reader) Name() string { return r.name }

func (r *reader) Installed(ctx context.Context, host string) ([]openflow.FlowStats, error) {
	r.asked.Add(1)
	if r.live != nil {
		return r.live, nil
	}
	return r.Controller.Installed(ctx, host)
}

func (r *reader) LastDump(string) ([]openflow.FlowStats, time.Time, error) { return r.kept, r.at, nil }

// authority signs for controllers of a test.
type authority struct {
	*pki.Authority
	dir string
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	dir := t.TempDir()
	a, err := pki.CreateAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	return authority{a, dir}
}

func (a authority) source(t *testing.T, who pki.Identity) *pki.Source {
	t.Helper()
	if err := a.Issue(a.dir, who, nil, time.Hour); err != nil {
		t.Fatal(err)
	}
	s, err := pki.Open(a.dir, who, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// serveAs has a controller answer with a certificate, and tells in etcd where.
func (c cluster) serveAs(t *testing.T, r *reader, identity *pki.Source) (url string) {
	t.Helper()
	r.Controller = c.controller
	h := api.New(api.Options{Version: "test", Controller: r, Store: c.store, Registry: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler), Identity: identity})
	url = "https://" + serve(t, h, identity.Server(tls.VerifyClientCertIfGiven))
	c.put(t, store.LiveControllerKey(r.name), &store.LiveController{API: url})
	return url
}

// oneFlow is a flow as a switch told it, known by what it counted.
func oneFlow(t *testing.T, packets uint64) []openflow.FlowStats {
	t.Helper()
	f, err := openflow.ParseFlow("cookie=0x0100000000000000,table=0,priority=1,in_port=1 actions=drop")
	if err != nil {
		t.Fatal(err)
	}
	return []openflow.FlowStats{{Flow: f, Packets: packets, Bytes: 100 * packets, Seconds: 9}}
}

// ask asks a controller for the installed flows of h1, with a viewer's token.
func (c cluster) ask(t *testing.T, url string, authority authority, filter client.FlowFilter) (client.FlowReading, error) {
	t.Helper()
	config, err := pki.ClientOf(authority.PEM())
	if err != nil {
		t.Fatal(err)
	}
	at, err := client.Dial(url, client.WithTLS(config), client.WithToken(c.make(t, client.TokenSpec{Name: fmt.Sprintf("v%d", time.Now().UnixNano()), Role: "viewer"})))
	if err != nil {
		t.Fatal(err)
	}
	return at.ReadFlows(t.Context(), "h1", filter)
}

// A controller that cannot read a switch asks the others, and shows what was read last, with who read it and how old it is.
func TestOthersAreAskedForADump(t *testing.T) {
	c, ca := start(t), newAuthority(t)
	c.register(t, "h1")
	now := time.Now()
	old, later, none := &reader{name: "old", kept: oneFlow(t, 1), at: now.Add(-3 * time.Hour)}, &reader{name: "later", kept: oneFlow(t, 2), at: now.Add(-2 * time.Hour)}, &reader{name: "none"}
	urls := map[string]string{}
	for _, r := range []*reader{old, later, none} {
		urls[r.name] = c.serveAs(t, r, ca.source(t, pki.Controller(r.name)))
	}
	await(t, func() error { return c.seesControllers("old", "later", "none") })
	for _, from := range []string{"none", "old"} {
		got, err := c.ask(t, urls[from], ca, client.FlowFilter{})
		if err != nil || len(got.Flows) != 1 || got.Flows[0].Packets != 2 || got.Of != "later" {
			t.Errorf("%s shows %+v, %v", from, got, err)
			continue
		}
		if got.Age < 2*time.Hour || got.Age > 2*time.Hour+10*time.Minute {
			t.Errorf("%s says that it is %s old", from, got.Age)
		}
		if said := strings.Join(got.Problems, "\n"); !strings.HasPrefix(said, "hosts/h1: its switch has no session with controller "+from) ||
			!strings.Contains(said, "; this is what it held at "+now.Add(-2*time.Hour).UTC().Format("2006-01-02T15")) || !strings.Contains(said, " ago, when controller later last read all its flows") {
			t.Errorf("%s says %s", from, said)
		}
	}
	got, err := c.ask(t, urls["later"], ca, client.FlowFilter{})
	if err != nil || len(got.Flows) != 1 || got.Flows[0].Packets != 2 || got.Of != "" || got.Age < 2*time.Hour || !strings.HasSuffix(got.Problems[0], "when all its flows were last read here") {
		t.Errorf("its own is later, and it shows %+v, %v", got, err)
	}
	if got, err := c.ask(t, urls["none"], ca, client.FlowFilter{Table: "admit"}); err != nil || len(got.Flows) != 0 || got.Of != "later" {
		t.Errorf("of another table it shows %+v, %v", got, err)
	}
	_, err = c.ask(t, urls["none"], ca, client.FlowFilter{View: client.ViewDiff})
	checkProblem(t, err, http.StatusServiceUnavailable, "not connected")
}

// seesControllers fails while the state lacks one of them.
func (c cluster) seesControllers(names ...string) (err error) {
	c.controller.View(func(s *store.State) {
		for _, name := range names {
			if s.LiveController(name) == nil {
				err = fmt.Errorf("controller %s is not seen", name)
			}
		}
	})
	return err
}

// The one that has the session reads the switch now.
func TestAnotherReadsTheSwitch(t *testing.T) {
	c, ca := start(t), newAuthority(t)
	c.register(t, "h1")
	kept, reads := &reader{name: "kept", kept: oneFlow(t, 1), at: time.Now().Add(-time.Minute)}, &reader{name: "reads", live: oneFlow(t, 5)}
	url := c.serveAs(t, kept, ca.source(t, pki.Controller("kept")))
	c.serveAs(t, reads, ca.source(t, pki.Controller("reads")))
	c.put(t, store.MasterKey("h1"), &store.Master{Controller: "reads"})
	await(t, func() error { return c.seesControllers("kept", "reads") })
	got, err := c.ask(t, url, ca, client.FlowFilter{})
	if err != nil || len(got.Flows) != 1 || got.Flows[0].Packets != 5 || got.Of != "reads" || got.Age != 0 {
		t.Fatalf("it shows %+v, %v", got, err)
	}
	if want := "and controller reads has claimed it; controller reads read these flows just now"; !strings.HasSuffix(got.Problems[0], want) {
		t.Errorf("it says %s", got.Problems)
	}
}

// Nobody who is asked asks in turn, and where nobody kept anything it is said what each answered.
func TestNobodyHasADump(t *testing.T) {
	c, ca, foreign := start(t), newAuthority(t), newAuthority(t)
	c.register(t, "h1")
	asks, other := &reader{name: "asks"}, &reader{name: "other"}
	url := c.serveAs(t, asks, ca.source(t, pki.Controller("asks")))
	c.serveAs(t, other, ca.source(t, pki.Controller("other")))
	c.serveAs(t, &reader{name: "foreign"}, foreign.source(t, pki.Controller("foreign")))
	c.serveAs(t, &reader{name: "posing"}, ca.source(t, pki.Controller("poser")))
	c.put(t, store.LiveControllerKey("clear"), &store.LiveController{API: "http://192.0.2.9:8080"})
	await(t, func() error { return c.seesControllers("asks", "other", "foreign", "posing", "clear") })
	_, err := c.ask(t, url, ca, client.FlowFilter{})
	checkProblem(t, err, http.StatusServiceUnavailable, "no dump is kept here", "controller other: host h1: its switch is not connected", "and no dump of it is kept", "controller foreign: API at https://", "unknown authority",
		"controller posing: ", "the certificate is of controller:poser, not of controller:posing", "ask with ", "--api http://192.0.2.9:8080", "; --desired shows")
	if asks.asked.Load() != 1 || other.asked.Load() != 1 {
		t.Errorf("they were asked %d and %d times", asks.asked.Load(), other.asked.Load())
	}
}

// A controller may look, as long as it runs, and no more.
func TestWhatAControllerMay(t *testing.T) {
	c, ca := start(t), newAuthority(t)
	c.register(t, "h1")
	url := c.serveAs(t, &reader{name: "c2"}, ca.source(t, pki.Controller("c2")))
	as := func(name string) *client.Client {
		dialled, err := client.Dial(url, client.WithTLS(ca.source(t, pki.Controller(name)).ClientOfController("c2")))
		if err != nil {
			t.Fatal(err)
		}
		return dialled
	}
	await(t, func() error { return c.seesControllers("c2") })
	if _, err := as("c2").Tenants(t.Context()); err != nil {
		t.Errorf("a controller that runs: %v", err)
	}
	_, err := as("c2").CreateTenant(t.Context(), client.TenantSpec{Name: "alice"})
	checkProblem(t, err, http.StatusForbidden, "controller c2 has role viewer")
	_, err = as("c9").Tenants(t.Context())
	checkProblem(t, err, http.StatusUnauthorized, "controller c9 is not live in etcd")
	_, err = as("c2").CreateToken(t.Context(), client.TokenSpec{Name: "x", Role: "viewer"})
	if !errors.Is(err, client.ErrForbidden) {
		t.Errorf("it makes a token: %v", err)
	}
}

// A controller that does not answer is waited for no longer than others are, and told of.
func TestOneThatIsSilent(t *testing.T) {
	c, ca := start(t), newAuthority(t)
	c.register(t, "h1")
	own := &reader{name: "own", kept: oneFlow(t, 1), at: time.Now().Add(-time.Minute)}
	url := c.serveAs(t, own, ca.source(t, pki.Controller("own")))
	c.put(t, store.LiveControllerKey("silent"), &store.LiveController{API: "https://127.0.0.1:1"})
	await(t, func() error { return c.seesControllers("own", "silent") })
	got, err := c.ask(t, url, ca, client.FlowFilter{})
	if err != nil || len(got.Flows) != 1 || !slices.ContainsFunc(got.Problems, func(p string) bool {
		return strings.Contains(p, "last read here; controller silent: API at https://127.0.0.1:1: ")
	}) {
		t.Errorf("it shows %+v, %v", got, err)
	}
}
