package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
	"sluice/controller/client"
	"sluice/controller/host"
	"sluice/controller/proof"
	"sluice/flows/prove"
	"sluice/flows/verify"
	"sluice/store"
)

func (s *server) verifications(a huma.API) {
	op := operation("verify-isolation", http.MethodGet, "/v1/verify", "flows", "Prove over the installed flows that tenants are kept apart", access.Look)
	op.Description = "The flows of each host are read from its switch for this request and proved flow by flow, for all packets. A verdict is proved; " +
		"false, with a counterexample: a packet that crosses, escapes or lies, and its way; unproved: a flow breaks a rule of the proof, and no such packet was found; " +
		"or unread: the switch has no session with this controller. Only proved says that tenants are kept apart."
	op.Errors = append(op.Errors, http.StatusNotFound)
	huma.Register(a, op, s.verify)
	op = operation("show-state", http.MethodGet, "/v1/state", "flows", "Show what flows are proved by", access.Look)
	op.Description = "The objects of the store from which flows are compiled, at one revision, and the numbers of the switches' interfaces: " +
		"what a dump of a switch can be proved by later, without this controller (sluice verify --dump FILE --state FILE)."
	huma.Register(a, op, s.showState)
}

type verifyQuery struct {
	Hosts []string `query:"host,explode" doc:"only these hosts; none: all" example:"h1"`
}

func (s *server) verify(ctx context.Context, in *verifyQuery) (*body[client.Verification], error) {
	var hosts []string
	var err error
	out := &body[client.Verification]{}
	s.Controller.View(func(state *store.State) {
		out.Body.Revision = state.Revision()
		hosts, err = chosenHosts(state, in.Hosts)
	})
	if err != nil {
		return nil, err
	}
	if err := s.dumps.Acquire(ctx, 1); err != nil {
		return nil, s.refuse(fmt.Errorf("verify: wait for others that read flows: %w", err))
	}
	defer s.dumps.Release(1)
	v := verifier{server: s}
	out.Body.Hosts = make([]client.VerifiedHost, len(hosts))
	for i, name := range hosts {
		out.Body.Hosts[i] = v.host(ctx, name)
		if err := ctx.Err(); err != nil {
			return nil, s.refuse(fmt.Errorf("verify: host %s: %w: ask for fewer hosts at once", name, err))
		}
	}
	return out, nil
}

// facts are a State of its own, so that what reads it for long holds up nobody. It is made where there is something to
// explain: that takes longer than most proofs.
func (v *verifier) facts() *store.State {
	if v.state == nil {
		var facts store.Batch
		v.Controller.View(func(state *store.State) { facts = state.Facts() })
		v.state = store.NewState()
		v.state.Apply(facts)
	}
	return v.state
}

// chosenHosts are the hosts that a request asks for.
func chosenHosts(state *store.State, asked []string) (names []string, err error) {
	for _, name := range asked {
		if state.Host(name) == nil {
			return nil, absent("host", name, "host list")
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(asked) > 0 {
		return names, nil
	}
	for h := range state.Hosts() {
		names = append(names, h.Key.Host)
	}
	return names, nil
}

// Bounds of one answer: findings of a host that are listed, those of a host for which a counterexample is
// searched, and the flows of other hosts that are read for that.
const (
	findingsShown    = 100
	findingsSearched = 10
	searchTries      = 2000
	searchFlows      = 300_000
)

// verifier verifies hosts for one request.
type verifier struct {
	*server
	state  *store.State   // see facts
	others []prove.Tables // read once, where there is something to search
}

func (v *verifier) host(ctx context.Context, name string) client.VerifiedHost {
	out := client.VerifiedHost{Host: name, Verdict: verify.Unread, Findings: []verify.Finding{}}
	look, err := v.Controller.Prove(ctx, name)
	if err != nil {
		out.Why, out.Last, out.LastWhole = v.unread(name, err)
		return out
	}
	others := func() []prove.Tables { return v.tables(ctx, look) }
	out = judged(v.facts, look.Tables, look.Findings, others)
	out.Read = look.At
	return out
}

// judged is the verdict over findings. all are the tables over which counterexamples are searched.
func judged(facts func() *store.State, t prove.Tables, findings []prove.Finding, all func() []prove.Tables) client.VerifiedHost {
	out := client.VerifiedHost{Host: t.Switch.Host, Flows: len(t.Flows), Findings: []verify.Finding{}}
	shown := findings[:min(len(findings), findingsShown)]
	out.More = len(findings) - len(shown)
	if len(shown) > 0 {
		budget := verify.Budget{Findings: findingsSearched, Tries: searchTries, Seed: 1}
		out.Findings = verify.Explain(facts(), all(), shown, budget)
	}
	out.Verdict = verify.Judge(out.Findings)
	return out
}

// VerifyTables proves tables that were read before, without an API. Counterexamples are searched over all
// of those that there are.
func VerifyTables(state *store.State, t prove.Tables, all []prove.Tables) client.VerifiedHost {
	return judged(func() *store.State { return state }, t, prove.Host(state, t), func() []prove.Tables { return all })
}

// tables are those of the host that was looked at, and of the others whose switches can be read, as far as there is room.
func (v *verifier) tables(ctx context.Context, look *proof.Look) []prove.Tables {
	if v.others == nil {
		v.others = v.readAll(ctx)
	}
	own := look.Tables.Switch.Host
	others := slices.DeleteFunc(slices.Clone(v.others), func(t prove.Tables) bool { return t.Switch.Host == own })
	return append([]prove.Tables{look.Tables}, others...)
}

func (v *verifier) readAll(ctx context.Context) []prove.Tables {
	all, total := []prove.Tables{}, 0
	for h := range v.facts().Hosts() {
		if total > searchFlows {
			break
		}
		if t, ok := v.read(ctx, h.Key.Host); ok {
			all, total = append(all, t), total+len(t.Flows)
		}
	}
	return all
}

// read reads what a host's switch holds, where it can be read.
func (v *verifier) read(ctx context.Context, name string) (t prove.Tables, ok bool) {
	installed, err := v.Controller.Installed(ctx, name)
	if err != nil {
		return t, false
	}
	t.Switch.Host = name
	if t.Switch.OFPort, _, err = v.Controller.Ports(name); err != nil {
		return t, false
	}
	for i := range installed {
		t.Flows = append(t.Flows, installed[i].Flow)
	}
	return t, true
}

// unread says why a host was not read, as of when this controller's last proof of it holds, and when it last read all flows.
func (v *verifier) unread(name string, err error) (why string, last, whole time.Time) {
	for _, status := range v.Controller.Hosts() {
		if status.Name == name && status.Proof != nil {
			last, whole = status.Proof.At, status.Proof.Whole
		}
	}
	why = err.Error()
	if errors.As(err, &host.ErrNotConnected{}) {
		v.Controller.View(func(state *store.State) { why = v.away(state, name) })
	}
	return why, last, whole
}

func (s *server) showState(_ context.Context, _ *struct{}) (*body[verify.Snapshot], error) {
	var facts store.Batch
	s.Controller.View(func(state *store.State) { facts = state.Facts() })
	ports := map[string]map[string]uint32{}
	for _, e := range facts.Events {
		if e.Key.Kind != store.KindHost {
			continue
		}
		if numbers, told, err := s.Controller.Ports(e.Key.Host); err == nil && told { // else it is not known
			ports[e.Key.Host] = numbers
		}
	}
	snapshot, err := verify.Save(facts, ports)
	if err != nil {
		return nil, s.refuse(err)
	}
	return &body[verify.Snapshot]{snapshot}, nil
}
