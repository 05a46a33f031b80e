package integration

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"sluice/integration/lab"
)

//go:embed testdata/axe/axe.min.js
var axe string

// browser is a real Chromium, and what its console complained of.
type browser struct {
	ctx context.Context
	url string

	mu         sync.Mutex
	complaints []string
}

// openBrowser starts Chromium until the test ends.
func openBrowser(t *testing.T, url string, more ...chromedp.ExecAllocatorOption) *browser {
	t.Helper()
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.UserDataDir(filepath.Join(t.TempDir(), "profile")))
	allocator, endAllocator := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), append(options, more...)...) // it ends before its directory goes
	t.Cleanup(endAllocator)
	ctx, end := chromedp.NewContext(allocator)
	t.Cleanup(func() { _ = chromedp.Cancel(ctx); end() })
	b := &browser{ctx: ctx, url: url}
	chromedp.ListenTarget(ctx, b.listen)
	b.start(t)
	return b
}

// start starts the browser by a thread that lives as long as it. The kernel kills it when the thread that started it ends,
// and threads end here: those that were in another network namespace.
func (b *browser) start(t *testing.T) {
	t.Helper()
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		started <- chromedp.Run(b.ctx, chromedp.EmulateViewport(1280, 900)) // a shorter context would end the browser with it
		<-b.ctx.Done()
	}()
	if err := <-started; err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
}

// listen notes errors of scripts, and what the browser refused or could not load.
func (b *browser) listen(event any) {
	text := ""
	switch e := event.(type) {
	case *cdpruntime.EventExceptionThrown:
		text = e.ExceptionDetails.Error()
	case *cdplog.EventEntryAdded:
		text = fmt.Sprint(e.Entry.Level, ": ", e.Entry.Text, " ", e.Entry.URL)
	case *cdpruntime.EventConsoleAPICalled:
		text = fmt.Sprint("console.", e.Type)
	}
	if text != "" {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.complaints = append(b.complaints, text)
	}
}

func (b *browser) do(t *testing.T, actions ...chromedp.Action) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		t.Fatalf("Chromium: %v", err)
	}
}

// text is what the first of some elements says. It looks once: the page's script may put another in its place.
func (b *browser) text(t *testing.T, selector string) (text string) {
	t.Helper()
	b.do(t, chromedp.Evaluate(fmt.Sprintf("document.querySelector(%q)?.textContent.trim() ?? ''", selector), &text))
	return text
}

// wantUsable has axe-core look at the page, in light on a telephone and in dark on a wide screen.
func (b *browser) wantUsable(t *testing.T, path string) {
	t.Helper()
	for _, screen := range []struct {
		scheme string
		width  int64
	}{{"light", 360}, {"dark", 3840}} {
		var found string
		b.do(t, chromedp.EmulateViewport(screen.width, 900),
			emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: screen.scheme}}),
			chromedp.Navigate(b.url+path), chromedp.WaitVisible("main"), chromedp.Evaluate(axe+";0", nil),
			chromedp.Evaluate(`axe.run().then(r => JSON.stringify(r.violations.map(v => [v.id, v.help, v.nodes.map(n => n.html)])))`, &found,
				func(p *cdpruntime.EvaluateParams) *cdpruntime.EvaluateParams { return p.WithAwaitPromise(true) }))
		if found != "[]" {
			t.Errorf("%s, %s, %d pixels wide: %s", path, screen.scheme, screen.width, found)
		}
		var overflow int
		b.do(t, chromedp.Evaluate(`document.documentElement.scrollWidth - document.documentElement.clientWidth`, &overflow))
		if overflow > 0 {
			t.Errorf("%s, %d pixels wide: the page is %d pixels too wide", path, screen.width, overflow)
		}
	}
	b.do(t, chromedp.EmulateViewport(1280, 900))
}

// TestPages looks at the pages with a real browser, while traffic passes: a token is typed, numbers move without
// asking anew, the form traces as the command line does, and nothing keeps people from using them.
func TestPages(t *testing.T) {
	st := needLab(t)
	tenant(t, "pages-a", "--gateway", "h1")
	a1, a2 := container(t, "h1", "pages-a", "pages-1"), container(t, "h2", "pages-a", "pages-2")
	wantPing(t, a1, ipOf(a2))
	b := openBrowser(t, strings.TrimSuffix(urlOf(st), "/"))

	b.do(t, chromedp.Navigate(b.url), chromedp.WaitVisible("#token"))
	b.do(t, chromedp.SendKeys("#token", tokenOf(t, st)), chromedp.Submit("#token"), chromedp.WaitVisible(".picture"))
	if text := b.text(t, "main"); !strings.Contains(text, "realized") || !strings.Contains(text, "h3") {
		t.Errorf("the first page says\n%s", text)
	}
	pings := steadyPing(t, a1, ipOf(a2))
	wantMoving(t, b, "/hosts/h2", `#links + div tbody tr td:last-child`)
	wantMoving(t, b, "/tenants/pages-a", `#traffic + div tbody tr td:nth-child(2)`)
	wantRates(t, b)
	wantSameTrace(t, b, ipOf(a2).String())
	b.shoot(t)
	pings.wantAll()
	for _, path := range []string{
		"/", "/hosts/h1", "/hosts/h1/flows?table=admit", "/tenants", "/tenants/pages-a", "/gateways",
		"/trace?from=pages-a%2Fpages-1&to=192.0.2.1", "/proof?host=h1", "/tenants/nobody",
	} {
		b.wantUsable(t, path)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.complaints = slices.DeleteFunc(b.complaints, func(c string) bool { return strings.Contains(c, "/tenants/nobody") || strings.HasSuffix(c, b.url+"/") }) // refused, as they should be
	if len(b.complaints) > 0 {
		t.Errorf("the browser complains: %q", b.complaints)
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
func wantMoving(t *testing.T, b *browser, path, selector string) {
	t.Helper()
	b.do(t, chromedp.Navigate(b.url+path), chromedp.WaitVisible(selector, chromedp.ByQuery), chromedp.Evaluate(`window.before = true`, nil))
	first := b.text(t, selector)
	eventually(t, path+": numbers move", func() error {
		if now := b.text(t, selector); now == first {
			return fmt.Errorf("still %q", now)
		}
		return nil
	})
	var same bool
	b.do(t, chromedp.Evaluate(`window.before === true`, &same))
	if !same {
		t.Errorf("%s was loaded anew", path)
	}
}

// wantRates waits for the picture to show what passes between two hosts.
func wantRates(t *testing.T, b *browser) {
	t.Helper()
	b.do(t, chromedp.Navigate(b.url+"/"), chromedp.WaitVisible(".picture"))
	eventually(t, "the picture shows traffic", func() error {
		if text := b.text(t, ".picture"); !strings.Contains(text, "B/s") {
			return fmt.Errorf("it says %q", text)
		}
		return nil
	})
}

// wantSameTrace fills in the form, and compares its answer with that of the command line.
func wantSameTrace(t *testing.T, b *browser, to string) {
	t.Helper()
	b.do(t, chromedp.Navigate(b.url+"/trace"), chromedp.WaitVisible(`input[name="from"]`),
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
	if verdict := b.text(t, "#answer"); verdict != said.Text {
		t.Errorf("the form says %q, the command line %q", verdict, said.Text)
	}
	table := b.text(t, "main table")
	for _, hop := range said.Hops {
		for _, step := range hop.Steps {
			if !strings.Contains(table, step.TableName) || !strings.Contains(table, step.Owner) {
				t.Errorf("the form lacks table %s, %s:\n%s", step.TableName, step.Owner, table)
			}
		}
	}
}

// shoot takes the pictures of the docs, where SLUICE_SCREENSHOTS names a directory for them.
func (b *browser) shoot(t *testing.T) {
	t.Helper()
	dir := os.Getenv("SLUICE_SCREENSHOTS")
	if dir == "" {
		return
	}
	for name, path := range map[string]string{
		"cluster": "/", "flows": "/hosts/h1/flows?table=admit", "tenant": "/tenants/pages-a", "trace": "/trace?from=pages-a%2Fpages-1&to=10.0.0.1",
	} {
		var png []byte
		b.do(t, chromedp.EmulateViewport(1280, 800), emulation.SetEmulatedMedia(), chromedp.Navigate(b.url+path), chromedp.WaitVisible("main"),
			chromedp.Sleep(11*time.Second), chromedp.CaptureScreenshot(&png))
		if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil { //nolint:gosec // a picture for everybody
			t.Fatal(err)
		}
	}
}
