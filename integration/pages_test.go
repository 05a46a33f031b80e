package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"sluice/integration/lab"
	"sluice/internal/browser"
)

// TestPages looks at the pages with a real browser, while traffic passes: a token is typed, numbers move without
// asking anew, the form traces as the command line does, and nothing keeps people from using them.
func TestPages(t *testing.T) {
	st := needLab(t)
	tenant(t, "pages-a", "--gateway", "h1")
	a1, a2 := container(t, "h1", "pages-a", "pages-1"), container(t, "h2", "pages-a", "pages-2")
	wantPing(t, a1, ipOf(a2))
	b := browser.Open(t, strings.TrimSuffix(urlOf(st), "/"))

	b.LogIn(t, tokenOf(t, st))
	if text := b.Text(t, "main"); !strings.Contains(text, "realized") || !strings.Contains(text, "h3") {
		t.Errorf("the first page says\n%s", text)
	}
	pings := steadyPing(t, a1, ipOf(a2))
	wantMoving(t, b, "/hosts/h2", `#links + div tbody tr td:last-child`)
	wantMoving(t, b, "/tenants/pages-a", `#traffic + div tbody tr td:nth-child(2)`)
	wantRates(t, b)
	wantSameTrace(t, b, ipOf(a2).String())
	for name, path := range map[string]string{
		"cluster": "/", "flows": "/hosts/h1/flows?table=admit", "tenant": "/tenants/pages-a", "trace": "/trace?from=pages-a%2Fpages-1&to=10.0.0.1",
		"events": "/#happened",
	} {
		b.Shoot(t, name, path)
	}
	pings.wantAll()
	for _, path := range []string{
		"/", "/hosts/h1", "/hosts/h1/flows?table=admit", "/tenants", "/tenants/pages-a", "/gateways",
		"/trace?from=pages-a%2Fpages-1&to=192.0.2.1", "/proof?host=h1", "/tenants/nobody",
	} {
		b.WantUsable(t, path)
	}
	complaints := slices.DeleteFunc(b.Complaints(), func(c string) bool { return strings.Contains(c, "/tenants/nobody") || strings.HasSuffix(c, b.URL+"/") }) // refused, as they should be
	if len(complaints) > 0 {
		t.Errorf("the browser complains: %q", complaints)
	}
}

// urlOf is the API's address, as a browser takes it.
func urlOf(st lab.Status) string {
	if strings.HasPrefix(st.API, "http") {
		return st.API
	}
	return "http://" + st.API
}

// tokenOf is the token that a person would type.
func tokenOf(t *testing.T, st lab.Status) string {
	t.Helper()
	token, err := os.ReadFile(st.TokenFile)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(token))
}

// wantMoving waits until an element of a page says something else, without the page being asked for again.
func wantMoving(t *testing.T, b *browser.Browser, path, selector string) {
	t.Helper()
	b.Do(t, chromedp.Navigate(b.URL+path), chromedp.WaitVisible(selector, chromedp.ByQuery), chromedp.Evaluate(`window.before = true`, nil))
	first := b.Text(t, selector)
	eventually(t, path+": numbers move", func() error {
		if now := b.Text(t, selector); now == first {
			return fmt.Errorf("still %q", now)
		}
		return nil
	})
	var same bool
	b.Do(t, chromedp.Evaluate(`window.before === true`, &same))
	if !same {
		t.Errorf("%s was loaded anew", path)
	}
}

// wantRates waits for the picture to show what passes between two hosts.
func wantRates(t *testing.T, b *browser.Browser) {
	t.Helper()
	b.Do(t, chromedp.Navigate(b.URL+"/"), chromedp.WaitVisible(".picture"))
	eventually(t, "the picture shows traffic", func() error {
		if text := b.Text(t, ".picture"); !strings.Contains(text, "B/s") {
			return fmt.Errorf("it says %q", text)
		}
		return nil
	})
}

// wantSameTrace fills in the form, and compares its answer with that of the command line.
func wantSameTrace(t *testing.T, b *browser.Browser, to string) {
	t.Helper()
	b.Do(t, chromedp.Navigate(b.URL+"/trace"), chromedp.WaitVisible(`input[name="from"]`),
		chromedp.SendKeys(`input[name="from"]`, "pages-a/pages-1"), chromedp.SendKeys(`input[name="to"]`, to),
		chromedp.SendKeys(`input[name="proto"]`, "tcp"), chromedp.SendKeys(`input[name="dport"]`, "80"),
		chromedp.Submit(`input[name="dport"]`), chromedp.WaitVisible("#answer"))
	var said struct {
		Text string `json:"text"`
		Hops []struct {
			Steps []struct {
				Owner     string `json:"owner"`
				TableName string `json:"tableName"`
			} `json:"steps"`
		} `json:"hops"`
	}
	if err := json.Unmarshal([]byte(sluice(t, "trace", "pages-a/pages-1", to, "--proto", "tcp", "--dport", "80", "-o", "json")), &said); err != nil {
		t.Fatal(err)
	}
	if verdict := b.Text(t, "#answer"); verdict != said.Text {
		t.Errorf("the form says %q, the command line %q", verdict, said.Text)
	}
	table := b.Text(t, "main table")
	for _, hop := range said.Hops {
		for _, step := range hop.Steps {
			if !strings.Contains(table, step.TableName) || !strings.Contains(table, step.Owner) {
				t.Errorf("the form lacks table %s, %s:\n%s", step.TableName, step.Owner, table)
			}
		}
	}
}
