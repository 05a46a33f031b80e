package web

import (
	"net/http"
	"sluice/controller/client"
)

// proofPage is how far each host is proved to keep tenants apart, and what was put right on it.
type proofPage struct {
	Hosts []client.HostStatus // the first ones with findings or without a proof, then others
	More  int
	Asked string               // the host that was proved anew for this page
	Found *client.VerifiedHost // of it
}

// proof shows what is known. host proves that host anew.
func (s *site) proof(r *http.Request) (any, error) {
	status, err := s.api.Status(r.Context())
	if err != nil {
		return nil, err
	}
	page := proofPage{Asked: r.URL.Query().Get("host")}
	for _, doubtful := range []bool{true, false} {
		for _, h := range status.Hosts {
			if isDoubtful(h) == doubtful {
				page.Hosts = append(page.Hosts, h)
			}
		}
	}
	page.More = max(0, len(page.Hosts)-rowsShown)
	page.Hosts = page.Hosts[:len(page.Hosts)-page.More]
	if page.Asked == "" {
		return page, nil
	}
	found, err := s.api.Verify(r.Context(), page.Asked)
	if err == nil && len(found.Hosts) == 1 {
		page.Found = &found.Hosts[0]
	}
	return page, err
}

// isDoubtful reports whether a host is not proved to keep tenants apart.
func isDoubtful(h client.HostStatus) bool {
	return h.Proof == nil || h.Proof.At.IsZero() || h.Proof.Findings > 0
}
