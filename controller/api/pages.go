package api

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
	"strings"

	"sluice/controller/access"
)

//go:embed status.html
var statusHTML string

//go:embed login.html
var loginHTML string

var (
	statusPage = template.Must(template.New("status").Parse(statusHTML))
	loginPage  = template.Must(template.New("login").Parse(loginHTML))
)

// pages are for people with a browser: they show what the API says and change nothing. Who has no
// token yet is asked for one, which the browser then keeps in a cookie.
func (s *server) pages(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", s.statusPage)
	mux.HandleFunc("POST "+access.LoginPath, s.login)
	mux.HandleFunc("POST "+access.LogoutPath, s.logout)
}

func (s *server) statusPage(w http.ResponseWriter, r *http.Request) {
	if status, err := access.Check(r.Context(), access.Look); err != nil {
		if _, err := r.Cookie(access.Cookie); err != nil {
			s.show(w, status, loginPage, "") // nothing was tried yet
			return
		}
		s.show(w, status, loginPage, err.Error())
		return
	}
	tenants, err := s.listTenants(r.Context(), &PageQuery{Limit: tenantsShown})
	if err != nil {
		s.show(w, http.StatusInternalServerError, loginPage, err.Error())
		return
	}
	s.show(w, http.StatusOK, statusPage, struct {
		Version string
		Status  Status
		Tenants []Tenant
		More    bool // tenants than are shown
	}{s.Version, s.clusterStatus(r.Context()), tenants.Body, tenants.Continue != ""})
}

// tenantsShown bounds the tenants on the page.
const tenantsShown = 1000

// cookieTime is how long a browser keeps a token, in seconds: a working day.
const cookieTime = 12 * 60 * 60

// login puts a token that a person typed into a cookie of their browser. The page that follows
// says whether it is good for anything.
func (s *server) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4096)
	s.setCookie(w, r, strings.TrimSpace(r.PostFormValue("token")), cookieTime)
}

func (s *server) logout(w http.ResponseWriter, r *http.Request) { s.setCookie(w, r, "", -1) }

// setCookie answers with the page anew. No script reads the cookie, no other site sends it, and it
// changes nothing: see access.Cookie.
func (s *server) setCookie(w http.ResponseWriter, r *http.Request, text string, seconds int) {
	http.SetCookie(w, &http.Cookie{
		Name: access.Cookie, Value: text, Path: "/", MaxAge: seconds,
		HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode,
	})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// show answers with a page, which may load nothing from elsewhere and be shown inside no other.
func (s *server) show(w http.ResponseWriter, status int, page *template.Template, data any) {
	var b bytes.Buffer
	if err := page.Execute(&b, data); err != nil {
		s.Log.Error("render a page", "page", page.Name(), "err", err)
		http.Error(w, "the page could not be rendered", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w)
}
