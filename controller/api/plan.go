package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
	"sluice/controller/client"
	"sluice/flows"
	"sluice/flows/plan"
	"sluice/store"
	"sluice/store/manifest"
)

// planStore says which values a request would draw.
type planStore interface {
	Foresee(ctx context.Context, p store.Proposal, drawn map[string]bool) (values []string, err error)
}

func (s *server) plans(a huma.API) {
	op := answered(operation("plan", http.MethodPost, "/v1/plan", "manifests", "Say what would be written and which flows would change", access.Look))
	op.Description = "Nothing is written. The flows are compiled by the function that programs switches. A tenant that is new gets its " +
		"gateway host when it is there, which a plan does not say beforehand."
	huma.Register(a, op, s.showPlan)
	op = answered(operation("apply", http.MethodPost, "/v1/apply", "manifests", "Bring the cluster to what a manifest says", access.Rule))
	op.Description = "Object by object, each in a transaction of its own. With the digest of a plan it is refused if it would do anything " +
		"else than that plan said. What was refused half way is continued by the same request."
	huma.Register(a, op, s.apply)
	huma.Register(a, operation("export", http.MethodGet, "/v1/manifest", "manifests", "Declare tenants and networks as they are", access.Read), s.export)
}

func (s *server) showPlan(ctx context.Context, in *struct{ Body client.Wish }) (*body[client.Plan], error) {
	p, err := s.plan(ctx, &in.Body)
	if err != nil {
		return nil, s.refuseWish(err)
	}
	return &body[client.Plan]{p.Plan}, nil
}

// refuseWish tells what is wrong with a wish, and the place where that is known.
func (s *server) refuseWish(err error) error {
	refusal := s.refuse(err)
	var wrong *manifest.Error
	var answer *huma.ErrorModel
	if errors.As(err, &wrong) && wrong.Path != "" && errors.As(refusal, &answer) {
		answer.Detail = "the manifest cannot be brought about"
		answer.Errors = append(answer.Errors, &huma.ErrorDetail{Location: manifestPath + wrong.Path, Message: wrong.Err.Error()})
	}
	return refusal
}

// manifestPath is where a manifest stands in the body of a request.
const manifestPath = "body.manifest."

// planned is a plan with the requests that bring it about.
type planned struct {
	client.Plan
	requests []manifest.Step // of Steps
}

// plan works a wish out on a copy of the state.
func (s *server) plan(ctx context.Context, w *client.Wish) (*planned, error) {
	remove, err := objectKeys(w.Prune)
	if err != nil {
		return nil, err
	}
	var facts store.Batch
	s.Controller.View(func(state *store.State) { facts = state.Facts() })
	preview := plan.New(facts)
	p := &planned{Plan: client.Plan{Revision: facts.Revision, Steps: []client.PlanStep{}, Hosts: []client.PlanHost{}, Flows: []client.Flow{}}}
	if p.requests, err = w.Manifest.Steps(preview.State(), remove); err != nil {
		return nil, err
	}
	drawn := map[string]bool{}
	for _, step := range p.requests {
		done, err := s.foresee(ctx, preview, step, drawn)
		if err != nil {
			return nil, &manifest.Error{Path: step.Path, Err: err}
		}
		p.Steps = append(p.Steps, done)
	}
	if err := s.addFlows(p, preview); err != nil {
		return nil, err
	}
	p.Digest = p.digest()
	return p, nil
}

// prunable are the kinds of objects that a manifest declares.
var prunable = []store.Kind{store.KindTenant, store.KindNetwork, store.KindPeering, store.KindPublication}

// objectKeys reads the names of objects to remove.
func objectKeys(names []string) (keys []store.Key, err error) {
	for _, name := range names {
		key, err := store.ParseKey(store.Prefix + name)
		if err != nil || !slices.Contains(prunable, key.Kind) {
			return nil, fmt.Errorf("%w: prune %q: write it as tenants/TENANT, networks/TENANT/NETWORK, peerings/TENANT/PEER or published/TENANT/NAME", store.ErrInvalid, name)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// foresee takes a step on the copy of the state.
func (s *server) foresee(ctx context.Context, preview *plan.Preview, step manifest.Step, drawn map[string]bool) (client.PlanStep, error) {
	proposal, err := step.Request(preview.State())
	if err != nil {
		return client.PlanStep{}, err
	}
	values, err := s.Store.Foresee(ctx, proposal, drawn)
	if err != nil {
		return client.PlanStep{}, err
	}
	preview.Change(proposal.Writes)
	return client.PlanStep{Object: step.Key.Short(), Change: step.Change, Fields: step.Differs, Values: values}, nil
}

// addFlows adds the flows that change, host by host.
func (s *server) addFlows(p *planned, preview *plan.Preview) error {
	for _, host := range preview.Hosts() {
		numbers, told, err := s.Controller.Ports(host)
		if err != nil { // it is registered a moment ago, or gone
			continue
		}
		sw := flows.Switch{Host: host, OFPort: numbers}
		mods, problems, err := preview.Flows(sw)
		if err != nil {
			return err
		}
		for _, problem := range store.Problems(problems).Told() {
			p.Problems = append(p.Problems, host+": "+problem.Object+": "+problem.Text)
		}
		if mods.Len() == 0 {
			continue
		}
		if p.add(preview.State(), sw, mods); !told {
			p.Problems = append(p.Problems, host+": "+assumed)
		}
	}
	return nil
}

// add adds the changes of one host.
func (p *planned) add(state *store.State, sw flows.Switch, mods flows.Mods) {
	list := changed(nil, slices.Concat(mods.Add, mods.Replace), "add")
	list = changed(list, mods.Modify, "modify")
	list = changed(list, mods.Delete, "delete")
	d := describerOf(sw)
	for _, f := range inOrder(list) {
		p.Flows = append(p.Flows, d.flow(state, &f).Flow)
	}
	p.Hosts = append(p.Hosts, client.PlanHost{
		Host: sw.Host, Add: len(mods.Add) + len(mods.Replace), Modify: len(mods.Modify), Delete: len(mods.Delete),
	})
}

// digest is of all that a plan says but its revision.
func (p *planned) digest() string {
	said := p.Plan
	said.Revision, said.Digest = 0, ""
	text, _ := json.Marshal(said) // plain fields: cannot fail
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:12])
}

func (s *server) apply(ctx context.Context, in *struct{ Body client.Application }) (*body[client.Applied], error) {
	p, err := s.plan(ctx, &in.Body.Wish)
	if err != nil {
		return nil, s.refuseWish(err)
	}
	if in.Body.Digest != "" && in.Body.Digest != p.Digest {
		return nil, s.refuse(fmt.Errorf("%w: the cluster is not as it was when the plan was made: plan again", store.ErrConflict))
	}
	done := client.Applied{Steps: []client.PlanStep{}}
	for i, step := range p.requests {
		rev, err := s.write(ctx, p.objects(i+1), func(ctx context.Context) (store.Revision, error) {
			return s.Store.Decide(ctx, fixed(step.Request, p.Steps[i].Values), step.Needs...)
		})
		if err != nil {
			return nil, p.stopped(i, err)
		}
		done.Revision, done.Steps = rev, append(done.Steps, p.Steps[i])
	}
	return &body[client.Applied]{done}, nil
}

// objects are those of the first steps, for the audit log.
func (p *planned) objects(steps int) string {
	var names []string
	for _, step := range p.Steps[:steps] {
		names = append(names, step.Change+" "+step.Object)
	}
	return "manifest: " + strings.Join(names, ", ")
}

// stopped says how far it came.
func (p *planned) stopped(at int, err error) error {
	var answer *huma.ErrorModel
	if errors.As(err, &answer) {
		step := p.Steps[at]
		answer.Detail = fmt.Sprintf("%s %s: %s: %d of %d steps are done, apply again to go on", step.Change, step.Object, answer.Detail, at, len(p.Steps))
	}
	return err
}

// fixed is a request whose draws take the values that were foreseen, and no others.
func fixed(request func(*store.State) (store.Proposal, error), values []string) func(*store.State) (store.Proposal, error) {
	return func(state *store.State) (store.Proposal, error) {
		p, err := request(state)
		if err != nil {
			return p, err
		}
		if len(p.Draws) != len(values) {
			return p, fmt.Errorf("%w: plan again", store.ErrConflict)
		}
		for i, value := range values {
			p.Draws[i].Value = value
			p.Draws[i].Taken = func(owner string) error {
				return fmt.Errorf("%w: %s took %s since it was planned: plan again", store.ErrConflict, owner, value)
			}
		}
		return p, nil
	}
}

// exportQuery chooses tenants.
type exportQuery struct {
	Tenant string `query:"tenant" doc:"only this tenant"`
}

func (s *server) export(ctx context.Context, in *exportQuery) (_ *body[manifest.Manifest], err error) {
	if in.Tenant, err = visibleTenant(ctx, in.Tenant); err != nil {
		return nil, err
	}
	if err := s.checkNames(in.Tenant, "", ""); err != nil {
		return nil, err
	}
	var m *manifest.Manifest
	s.Controller.View(func(state *store.State) {
		m = manifest.Export(state, func(tenant string) bool { return in.Tenant == "" || in.Tenant == tenant })
	})
	return &body[manifest.Manifest]{*m}, nil
}
