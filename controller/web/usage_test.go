package web_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"sluice/controller/client"
	"sluice/controller/web"
	"sluice/metrics/overtime"
	"sluice/metrics/overtime/promtest"
)

// remembering is a Prometheus that knows what alice sent in the last three hours, but for half an hour of them.
func remembering(t *testing.T) (p *overtime.Prometheus, end func()) {
	t.Helper()
	now := time.Now()
	var read, bytes []promtest.Sample
	for ago := 3 * time.Hour; ago >= 0; ago -= 15 * time.Second {
		if at := now.Add(-ago); ago <= 20*time.Minute || ago > 50*time.Minute {
			read = append(read, promtest.Sample{Series: "sluice_tenant_sums_read", Value: 1, At: at})
			bytes = append(bytes, promtest.Sample{Series: `sluice_tenant_bytes_total{tenant="alice",direction="out",scope="internal"}`, Value: 100_000 * (3*time.Hour - ago).Seconds(), At: at})
		}
	}
	url, end := promtest.Start(t, append(read, bytes...))
	p, err := overtime.At(url)
	if err != nil {
		t.Fatal(err)
	}
	return p, end
}

// A tenant's page shows what it used over time, and as a gap what Prometheus does not know. One that is away is told of
// with when it answered last, to a tenant without its address.
func TestUsageOverTime(t *testing.T) {
	p, end := remembering(t)
	c := startWith(t, web.Options{Prometheus: p})
	if _, err := c.CreateTenant(t.Context(), client.TenantSpec{Name: "alice"}); err != nil {
		t.Fatal(err)
	}
	want := func(path string, says ...string) string {
		t.Helper()
		page := c.get(t, path)
		for _, word := range says {
			if !regexp.MustCompile(word).MatchString(page.text) {
				t.Errorf("%s lacks %q:\n%s", path, word, page.text)
			}
		}
		wellFormed(t, path, page.text)
		return page.text
	}
	hour := want("/tenants/alice", `<rect class="gap"`, `<polyline class="out"`, `1[0-4][0-9] kB/s at the top`, "not known</td>", "partly known", "Prometheus knows nothing of ", "stands in the row after")
	if rows := between(hour, `">Over time</h2>`, "</section>"); len(rows) != 1 || strings.Count(rows[0], "<tr>") != 13 || strings.Contains(rows[0], "of before") {
		t.Errorf("the hour: %q", rows)
	}
	want("/tenants/alice?since=24h", "Prometheus knows nothing of before", "7[12][0-9] MB", `href="/tenants/alice\?since=7d#usage"`)
	want("/tenants/alice?since=nonsense", `since=1h#usage" aria-current="true"`)
	inBrowser(t, c, "/tenants/alice").Shoot(t, "usage", "/tenants/alice?since=1h#usage")
	end()
	want("/tenants/alice?since=7d", "does not answer", "It answered last at 2")
	token, err := c.CreateToken(t.Context(), client.TokenSpec{Name: "alice", Role: "tenant", Tenant: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	own := c.ask(t, http.MethodGet, "/tenants/alice?since=7d", "", "Authorization", "Bearer "+token.Text)
	if !strings.Contains(own.text, "Prometheus cannot say") || strings.Contains(own.text, "127.0.0.1") {
		t.Errorf("to the tenant: %s\n%s", own.Status, own.text)
	}
}

// Who looks at a page while Prometheus never answered gets the page, with a sentence.
func TestPrometheusThatNeverAnswered(t *testing.T) {
	nobody := listen(t) // takes connections, and answers none
	p, err := overtime.At("http://" + nobody.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := startWith(t, web.Options{Prometheus: p})
	if _, err := c.CreateTenant(t.Context(), client.TenantSpec{Name: "alice"}); err != nil {
		t.Fatal(err)
	}
	page := c.get(t, "/tenants/alice")
	for _, word := range []string{"10.0.0.0/24", "does not answer", "It has not answered since this controller was started", `since=24h`} {
		if !strings.Contains(page.text, word) {
			t.Errorf("lacks %q:\n%s", word, page.text)
		}
	}
	if strings.Contains(page.text, "<polyline") {
		t.Errorf("it draws what it does not know:\n%s", page.text)
	}
}
