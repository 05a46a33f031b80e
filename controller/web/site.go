package web

import (
	"bytes"
	"embed"
	"errors"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/controller/access"
	"sluice/controller/client"
	"sluice/metrics/overtime"
)

//go:embed html static
var files embed.FS

// Options are what pages are made of besides the API's answers.
type Options struct {
	Version  string
	Registry prometheus.Gatherer // has tenants' counters and the numbers of flows
	Log      *slog.Logger
	// Prometheus remembers what tenants used; nil: none is known.
	Prometheus *overtime.Prometheus
}

// site makes pages.
type site struct {
	Options
	api     *client.Client
	pages   map[string]*template.Template // by the names of their files
	traffic meter[series]                 // of tenants
	links   meter[link]                   // between hosts
	kept    meter[tableOf]                // flows
	past    past                          // what Prometheus said
}

// Register is what adds the pages to an API: its option Pages.
func Register(o Options) func(*http.ServeMux, *client.Client) {
	return func(mux *http.ServeMux, c *client.Client) {
		s := &site{Options: o, api: c, pages: parse()}
		mux.Handle("GET /static/", http.HandlerFunc(static))
		mux.HandleFunc("POST "+access.LoginPath, login)
		mux.HandleFunc("POST "+access.LogoutPath, logout)
		host, tenant := page{access.Look, "host", s.host, s.hostForms()}, page{access.Read, "tenant", s.tenant, s.tenantForms()}
		mux.HandleFunc("GET /{$}", s.page(page{access.Read, "cluster", s.cluster, nil}))
		mux.HandleFunc("GET /hosts/{host}", s.page(host))
		mux.HandleFunc("POST /hosts/{host}", s.change(host))
		mux.HandleFunc("GET /hosts/{host}/flows", s.page(page{access.Look, "flows", s.flows, nil}))
		mux.HandleFunc("GET /tenants", s.page(page{access.Look, "tenants", s.tenants, nil}))
		mux.HandleFunc("GET /tenants/{tenant}", s.page(tenant))
		mux.HandleFunc("POST /tenants/{tenant}", s.change(tenant))
		mux.HandleFunc("GET /gateways", s.page(page{access.Look, "gateways", s.gateways, nil}))
		mux.HandleFunc("GET /trace", s.page(page{access.Read, "trace", s.trace, nil}))
		mux.HandleFunc("GET /proof", s.page(page{access.Look, "proof", s.proof, nil}))
	}
}

// parse reads the pages: each is a file that fills the gaps of layout.html, and may use the parts.
func parse() map[string]*template.Template {
	layout := template.Must(template.New("layout.html").Funcs(words()).ParseFS(files, "html/layout.html", "html/parts/*.html"))
	pages := map[string]*template.Template{}
	names, err := fs.Glob(files, "html/*.html")
	if err != nil {
		panic(err) // the pattern is wrong
	}
	for _, name := range names {
		page := strings.TrimSuffix(strings.TrimPrefix(name, "html/"), ".html")
		if page != "layout" {
			pages[page] = template.Must(template.Must(layout.Clone()).ParseFS(files, name))
		}
	}
	return pages
}

// page is one of the pages.
type page struct {
	need  access.Need
	name  string // of its file
	data  func(*http.Request) (any, error)
	forms map[string]form // by the value of their field do
}

// view is what a page is made of.
type view struct {
	Version string
	Caller  access.Caller
	Path    string
	Token   string // of forms; empty: whoever looks may not send one
	Done    string // what was done by a form
	Refused string // why what a form asked for was not done
	Data    any

	asked *http.Request
}

// May reports whether whoever looks may send a form that has a need.
func (v view) May(need access.Need) bool {
	_, err := access.Check(v.asked.Context(), need)
	return v.Token != "" && err == nil
}

// Typed is what was typed into a field of the form that was refused.
func (v view) Typed(field string) string {
	if v.Refused == "" {
		return ""
	}
	return typed(v.asked, field)
}

// elsewhere says that a page is at another path.
type elsewhere string

func (e elsewhere) Error() string { return "the page is at " + string(e) }

// page answers with a page, if the caller meets its need. Who has no token yet is asked for one, which the browser then
// keeps in a cookie.
func (s *site) page(p page) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if status, err := access.Check(r.Context(), p.need); err != nil {
			s.askForToken(w, r, status, err)
			return
		}
		found, err := p.data(r)
		var at elsewhere
		switch {
		case errors.As(err, &at):
			http.Redirect(w, r, string(at), http.StatusSeeOther)
		case err != nil:
			s.show(w, r, statusOf(err), "error", view{Data: err.Error()})
		default:
			s.show(w, r, http.StatusOK, p.name, view{Data: found, Done: p.forms[r.URL.Query().Get("done")].done})
		}
	}
}

func (s *site) askForToken(w http.ResponseWriter, r *http.Request, status int, err error) {
	text := ""
	if _, none := r.Cookie(access.Cookie); none == nil || status != http.StatusUnauthorized {
		text = err.Error() // else nothing was tried yet
	}
	s.show(w, r, status, "login", view{Data: text})
}

// statusOf is the status with which the API refused what a page is made of.
func statusOf(err error) int {
	var refused *client.Problem
	if errors.As(err, &refused) {
		return refused.Status
	}
	return http.StatusInternalServerError
}

// show answers with a page, which may load nothing from elsewhere and be shown inside no other.
func (s *site) show(w http.ResponseWriter, r *http.Request, status int, name string, v view) {
	v.Version, v.Caller, v.Path, v.Token, v.asked = s.Version, access.From(r.Context()), r.URL.Path, access.FormToken(r), r
	var b bytes.Buffer
	if err := s.pages[name].Execute(&b, v); err != nil {
		s.Log.Error("render a page", "page", name, "err", err)
		http.Error(w, "the page could not be rendered", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "same-origin") // with none a browser sends forms as from nowhere, which package access refuses
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w)
}

// static answers with the style and the script, also to who has no token yet.
func static(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	http.ServeFileFS(w, r, files, r.URL.Path)
}
