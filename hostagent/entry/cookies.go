package entry

import (
	"net/http"
	"slices"
	"strings"
)

// confineCookies keeps the cookies of an answer on the name that they come from, and under the route's path. Those of the login
// are not a container's to set.
func confineCookies(h http.Header, r *standing, login []string) {
	lines := h.Values("Set-Cookie")
	if len(lines) == 0 {
		return
	}
	h.Del("Set-Cookie")
	for _, line := range lines {
		if name, _, _ := strings.Cut(line, "="); !slices.Contains(login, strings.TrimSpace(name)) {
			h.Add("Set-Cookie", confined(line, r))
		}
	}
}

// confined is one cookie without a domain, so that the browser gives it back to the very name alone.
func confined(line string, r *standing) string {
	parts := strings.Split(line, ";")
	kept := parts[:1]
	path := ""
	for _, part := range parts[1:] {
		name, value, _ := strings.Cut(part, "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "domain":
		case "path": // of several the browser takes the last
			path = strings.TrimSpace(value)
		default:
			kept = append(kept, part)
		}
	}
	if path = r.cookiePath(path); path != "" {
		kept = append(kept, " Path="+path)
	}
	return strings.Join(kept, ";")
}

// cookiePath is the path that a cookie gets which asks for one; empty: the browser's default, which is below the route's path.
func (r *standing) cookiePath(asked string) string {
	switch {
	case r.Path == "/" || asked == "":
		return asked
	case r.Strip && strings.HasPrefix(asked, "/") && !strings.HasPrefix(asked, r.Path):
		asked = strings.TrimSuffix(r.Path, "/") + asked
	}
	if !strings.HasPrefix(asked, r.Path) || dotted(asked) {
		return r.Path
	}
	return asked
}

// withoutCookies leaves cookies of some names out of a request.
func withoutCookies(h http.Header, names []string) {
	lines := h.Values("Cookie")
	if len(names) == 0 || len(lines) == 0 {
		return
	}
	var kept []string
	for _, line := range lines {
		for cookie := range strings.SplitSeq(line, ";") {
			name, _, _ := strings.Cut(strings.TrimSpace(cookie), "=")
			if !slices.Contains(names, strings.TrimSpace(name)) {
				kept = append(kept, strings.TrimSpace(cookie))
			}
		}
	}
	h.Del("Cookie")
	if len(kept) > 0 {
		h.Set("Cookie", strings.Join(kept, "; "))
	}
}
