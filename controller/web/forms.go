package web

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"sluice/controller/access"
	"sluice/controller/client"
	"sluice/store"
)

// form is one thing that a page can be asked to change. It is done by the API, as whoever asks.
type form struct {
	need access.Need
	do   func(ctx context.Context, r *http.Request) error
	done string // what the page says then
}

// tenantForms are those of a tenant's page.
func (s *site) tenantForms() map[string]form {
	return map[string]form{
		"move": {access.Rule, func(ctx context.Context, r *http.Request) error {
			_, err := s.api.MoveGateway(ctx, r.PathValue("tenant"), client.GatewayMove{Host: typed(r, "host")})
			return err
		}, "The gateway moves: this page shows how far it is."},
		"policy": {access.Rule, func(ctx context.Context, r *http.Request) error {
			_, err := s.api.SetGatewayPolicy(ctx, r.PathValue("tenant"), typed(r, "policy"))
			return err
		}, "The gateway has another policy."},
		"topology": {access.Rule, func(ctx context.Context, r *http.Request) error {
			_, err := s.api.SetTopology(ctx, r.PathValue("tenant"), store.Topology(typed(r, "topology")))
			return err
		}, "The topology is asked for: this page shows how far it is."},
		"network": {access.Change, func(ctx context.Context, r *http.Request) error {
			_, err := s.api.CreateNetwork(ctx, client.NetworkSpec{Tenant: r.PathValue("tenant"), Name: typed(r, "network"), Subnets: strings.Fields(typed(r, "subnets"))})
			return err
		}, "The network was made."},
	}
}

// hostForms are those of a host's page.
func (s *site) hostForms() map[string]form {
	return map[string]form{
		"drain": {access.Rule, func(ctx context.Context, r *http.Request) error {
			_, err := s.api.DrainHost(ctx, r.PathValue("host"), client.DrainOrder{})
			return err
		}, "The host is drained: this page shows how far that is."},
		"undrain": {access.Rule, func(ctx context.Context, r *http.Request) error {
			return s.api.UndrainHost(ctx, r.PathValue("host"))
		}, "The host takes tenants again."},
	}
}

// typed is what was typed into a field of a form.
func typed(r *http.Request, field string) string { return strings.TrimSpace(r.PostFormValue(field)) }

// change does what a form of a page asks for, and shows the page: anew where it was done, so that loading it again does not do
// it again; else with the reason and what was typed.
func (s *site) change(p page) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name := typed(r, "do")
		f, known := p.forms[name]
		if !known {
			f.need = access.Rule
		}
		if status, err := access.Check(r.Context(), f.need); err != nil {
			s.askForToken(w, r, status, err)
			return
		}
		err := access.CheckForm(r)
		status := http.StatusForbidden
		if err == nil && !known {
			err, status = fmt.Errorf("the page has no form %q", name), http.StatusBadRequest
		}
		if err != nil {
			s.show(w, r, status, "error", view{Data: err.Error()})
			return
		}
		if err := f.do(r.Context(), r); err != nil {
			s.refused(w, r, p, err)
			return
		}
		http.Redirect(w, r, r.URL.EscapedPath()+"?done="+name, http.StatusSeeOther)
	}
}

// refused shows a page with why what its form asked for was not done.
func (s *site) refused(w http.ResponseWriter, r *http.Request, p page, why error) {
	data, err := p.data(r)
	if err != nil {
		s.show(w, r, statusOf(why), "error", view{Data: why.Error()})
		return
	}
	s.show(w, r, statusOf(why), p.name, view{Data: data, Refused: why.Error()})
}
