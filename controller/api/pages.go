package api

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
)

//go:embed status.html
var statusHTML string

var statusPage = template.Must(template.New("status").Parse(statusHTML))

// pages are for people with a browser: they show what the API says and change nothing.
func (s *server) pages(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", s.statusPage)
}

func (s *server) statusPage(w http.ResponseWriter, r *http.Request) {
	tenants, err := s.listTenants(r.Context(), &PageQuery{Limit: 1000})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	page := struct {
		Version string
		Status  Status
		Tenants []Tenant
	}{s.Version, s.clusterStatus(r.Context()), tenants.Body}
	var b bytes.Buffer
	if err := statusPage.Execute(&b, page); err != nil {
		s.Log.Error("render the status page", "err", err)
		http.Error(w, "the page could not be rendered", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	_, _ = b.WriteTo(w)
}
