package web

import (
	"net/http"
	"sluice/controller/client"
)

// gatewaysPage is a part of the tenants' gateways.
type gatewaysPage struct {
	FailOver bool
	Note     string // why no gateway has a backup
	Gateways []client.Gateway
	Next     string // with what the next part is asked for; empty: there is none
	First    bool
}

func (s *site) gateways(r *http.Request) (_ any, err error) {
	after := r.URL.Query().Get("continue")
	page := gatewaysPage{First: after == ""}
	failOver, err := s.api.FailOver(r.Context())
	if err != nil {
		return nil, err
	}
	page.FailOver, page.Note = failOver.On, failOver.Note
	part, err := s.api.SomeGateways(r.Context(), client.PageQuery{Limit: rowsShown, Continue: after})
	page.Gateways, page.Next = part.List, part.Next
	return page, err
}
