package access

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"sluice/pki"
	"sluice/store"
)

// errUnknown is the refusal of whoever shows something that stands for nobody. It does not say what
// was wrong with it, but for what only its owner can see.
var errUnknown = errors.New("the token is not known: it was revoked, has expired, or is of another cluster")

// Cookie holds the token of a person with a browser. It counts for reading and for the forms of pages, which prove by
// FormToken that they are the controller's own: so no page elsewhere can make a browser change anything.
const Cookie = "sluice_token"

// authority tells who asks.
type authority struct {
	view   func(func(*store.State)) // the state, which holds the tokens
	loaded <-chan struct{}          // closed once the state is there
	local  *LocalToken              // nil: there is none
}

// who is the caller of a request, or an error that says why there is none.
func (a *authority) who(r *http.Request) (Caller, error) {
	if header := r.Header.Get("Authorization"); header != "" {
		text, ok := bearer(header)
		if !ok {
			return Caller{}, errors.New("the header Authorization is to be: Bearer TOKEN")
		}
		return a.byToken(text)
	}
	if cookie, err := r.Cookie(Cookie); err == nil && (isSafe(r.Method) || isForm(r)) {
		return a.byToken(cookie.Value)
	}
	if who, ok := certified(r); ok {
		return a.byCertificate(who)
	}
	return Caller{}, errors.New("say who you are: send a token as Authorization: Bearer TOKEN")
}

// certified is whose certificate came with a request, of those that the authority signed.
func certified(r *http.Request) (pki.Identity, bool) {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return pki.Identity{}, false
	}
	who, err := pki.Of(r.TLS.VerifiedChains[0][0])
	return who, err == nil
}

// byCertificate is the caller that a certificate stands for: a person of whom a token says so, or another controller.
func (a *authority) byCertificate(who pki.Identity) (Caller, error) {
	if who.Role == pki.RoleController {
		return a.controller(who.Name)
	}
	if who.Role != pki.RolePerson {
		return Caller{}, fmt.Errorf("the certificate of %s is for other things: send a token, or use a person's certificate", who)
	}
	c, err := a.byName(who.Name, "person", func(t *store.Token) bool { return t.Person })
	if errors.Is(err, errUnknown) {
		err = fmt.Errorf("person %s has no role here: say sluice token create %s --person --role viewer, or another role", who.Name, who.Name)
	}
	return c, err
}

// controller is another controller of this cluster that runs now. It may look: what it would write it writes to etcd.
func (a *authority) controller(name string) (c Caller, err error) {
	select {
	case <-a.loaded:
	default:
		return Caller{}, errNotLoaded
	}
	err = fmt.Errorf("controller %s is not live in etcd: only controllers that run ask others", name)
	a.view(func(s *store.State) {
		if s.LiveController(name) != nil {
			c, err = Caller{Name: "controller " + name, Role: store.RoleViewer, Controller: true}, nil
		}
	})
	return c, err
}

// bearer is the token of an Authorization header (RFC 6750, 2.1).
func bearer(header string) (string, bool) {
	scheme, text, ok := strings.Cut(header, " ")
	return strings.TrimSpace(text), ok && strings.EqualFold(scheme, "Bearer")
}

func isSafe(method string) bool { return method == http.MethodGet || method == http.MethodHead }

func (a *authority) byToken(text string) (Caller, error) {
	if a.local.is(text) {
		return Caller{Name: Local, Role: store.RoleAdmin}, nil
	}
	name, secret, ok := parts(text)
	if !ok {
		return Caller{}, errUnknown
	}
	return a.byName(name, "token", func(t *store.Token) bool { return !t.Person && same(hashOf(secret), t.Hash) })
}

// errNotLoaded says that nobody can be told from anybody yet.
var errNotLoaded = errors.New("the state is not loaded yet: etcd has not answered")

// byName is the caller that a token in the state stands for, if what was shown fits it.
func (a *authority) byName(name, how string, fits func(*store.Token) bool) (c Caller, err error) {
	select {
	case <-a.loaded:
	default:
		return Caller{}, errNotLoaded
	}
	err = errUnknown
	a.view(func(s *store.State) {
		t := s.Token(name)
		if t == nil || !fits(t.Value) || !IsValid(s, t.Value, time.Now()) {
			return
		}
		c, err = Caller{Name: how + " " + name, Role: t.Value.Role, Tenant: t.Value.Tenant}, nil
	})
	return c, err
}

// IsValid reports whether a token has not expired, and its tenant is there.
func IsValid(s *store.State, t *store.Token, now time.Time) bool {
	return s.HasTenant(t) && (t.Expires.IsZero() || now.Before(t.Expires))
}

// refusal is why a caller does not meet a need; nil: it does.
func refusal(c Caller, n Need) error {
	roles := n.Roles()
	for _, role := range roles {
		if role == c.Role {
			return nil
		}
	}
	texts := make([]string, len(roles))
	for i, role := range roles {
		texts[i] = string(role)
	}
	return fmt.Errorf("%s has role %s, and this needs %s", c.Name, c.Role, strings.Join(texts, " or "))
}
