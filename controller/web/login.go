package web

import (
	"net/http"
	"strings"

	"sluice/controller/access"
)

// cookieTime is how long a browser keeps a token, in seconds: a working day.
const cookieTime = 12 * 60 * 60

// login puts a token that a person typed into a cookie of their browser. The page that follows
// says whether it is good for anything.
func login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4096)
	setCookie(w, r, strings.TrimSpace(r.PostFormValue("token")), cookieTime)
}

func logout(w http.ResponseWriter, r *http.Request) { setCookie(w, r, "", -1) }

// setCookie answers with the page anew. No script reads the cookie, no other site sends it, and it
// changes nothing: see access.Cookie.
func setCookie(w http.ResponseWriter, r *http.Request, text string, seconds int) {
	http.SetCookie(w, &http.Cookie{
		Name: access.Cookie, Value: text, Path: "/", MaxAge: seconds,
		HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode,
	})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
