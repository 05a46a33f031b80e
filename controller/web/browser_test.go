package web_test

import (
	"slices"
	"strings"
	"testing"

	"sluice/internal/browser"
)

// inBrowser has a real browser look at pages with the controller's own token, and axe-core.
func inBrowser(t *testing.T, c cluster, paths ...string) *browser.Browser {
	t.Helper()
	b := browser.Open(t, c.URL())
	b.LogIn(t, c.token)
	for _, path := range paths {
		b.WantUsable(t, path)
	}
	// It may say that a token was asked for, and that this takes no name.
	complaints := slices.DeleteFunc(b.Complaints(), func(c string) bool { return strings.Contains(c, "401") || strings.Contains(c, "username fields") })
	if len(complaints) > 0 {
		t.Errorf("the browser complains: %q", complaints)
	}
	return b
}
