package access

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
)

// formPaths begin the paths of pages that take forms, each those that it shows.
var formPaths = [...]string{"/tenants/", "/hosts/"}

// isForm reports whether a request is a form of a page that changes something. Who serves it must ask CheckForm.
func isForm(r *http.Request) bool {
	for _, p := range formPaths {
		if r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, p) {
			return true
		}
	}
	return false
}

// FormField is the field in which a form carries its token.
const FormField = "form"

// FormToken is what the forms of a page carry, so that they are known for the controller's own. Only who has the browser's
// cookie can tell it, and it does not tell the cookie. It is empty for who came without one: they get no form.
func FormToken(r *http.Request) string {
	cookie, err := r.Cookie(Cookie)
	if err != nil || cookie.Value == "" || r.Header.Get("Authorization") != "" {
		return ""
	}
	mac := hmac.New(sha256.New, []byte(cookie.Value))
	mac.Write([]byte("sluice form"))
	return hex.EncodeToString(mac.Sum(nil))
}

// CheckForm refuses a form that is not from a page which this browser was shown.
func CheckForm(r *http.Request) error {
	want := FormToken(r)
	if want == "" || !same(r.PostFormValue(FormField), want) {
		return errors.New("the form is not from a page that was shown with this token: open the page anew, and send its form; programs use /v1")
	}
	return nil
}
