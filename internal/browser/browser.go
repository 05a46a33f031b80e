// Package browser has tests look at pages with a real Chromium, and with axe-core at what keeps people from using them.
// Only tests use it.
package browser

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

//go:embed axe/axe.min.js
var axe string

// Browser is a real Chromium, and what its console complained of.
type Browser struct {
	URL string // of the site, without a slash at its end

	ctx context.Context

	mu         sync.Mutex
	complaints []string
}

// Open starts Chromium until the test ends, for the site at a URL.
func Open(t *testing.T, url string, more ...chromedp.ExecAllocatorOption) *Browser {
	t.Helper()
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.UserDataDir(filepath.Join(t.TempDir(), "profile")))
	allocator, endAllocator := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), append(options, more...)...) // it ends before its directory goes
	t.Cleanup(endAllocator)
	ctx, end := chromedp.NewContext(allocator)
	t.Cleanup(func() { _ = chromedp.Cancel(ctx); end() })
	b := &Browser{ctx: ctx, URL: url}
	chromedp.ListenTarget(ctx, b.listen)
	b.start(t)
	return b
}

// start starts the browser by a thread that lives as long as it. The kernel kills it when the thread that started it ends,
// and threads end here: those that were in another network namespace.
func (b *Browser) start(t *testing.T) {
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
func (b *Browser) listen(event any) {
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

// Do does actions, within a minute.
func (b *Browser) Do(t *testing.T, actions ...chromedp.Action) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		t.Fatalf("Chromium: %v", err)
	}
}

// LogIn types a token, as a person does at first.
func (b *Browser) LogIn(t *testing.T, token string) {
	t.Helper()
	b.Do(t, chromedp.Navigate(b.URL), chromedp.WaitVisible("#token"))
	b.Do(t, chromedp.SendKeys("#token", token), chromedp.Submit("#token"), chromedp.WaitVisible("nav"))
}

// Text is what the first of some elements says. It looks once: the page's script may put another in its place.
func (b *Browser) Text(t *testing.T, selector string) (text string) {
	t.Helper()
	b.Do(t, chromedp.Evaluate(fmt.Sprintf("document.querySelector(%q)?.textContent.trim() ?? ''", selector), &text))
	return text
}

// WantUsable has axe-core look at the page, in light on a telephone and in dark on a wide screen.
func (b *Browser) WantUsable(t *testing.T, path string) {
	t.Helper()
	for _, screen := range []struct {
		scheme string
		width  int64
	}{{"light", 360}, {"dark", 3840}} {
		var found string
		b.Do(t, chromedp.EmulateViewport(screen.width, 900),
			emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: screen.scheme}}),
			chromedp.Navigate(b.URL+path), chromedp.WaitVisible("main"), chromedp.Evaluate(axe+";0", nil),
			chromedp.Evaluate(`axe.run().then(r => JSON.stringify(r.violations.map(v => [v.id, v.help, v.nodes.map(n => n.html)])))`, &found,
				func(p *cdpruntime.EvaluateParams) *cdpruntime.EvaluateParams { return p.WithAwaitPromise(true) }))
		if found != "[]" {
			t.Errorf("%s, %s, %d pixels wide: %s", path, screen.scheme, screen.width, found)
		}
		var overflow int
		b.Do(t, chromedp.Evaluate(`document.documentElement.scrollWidth - document.documentElement.clientWidth`, &overflow))
		if overflow > 0 {
			t.Errorf("%s, %d pixels wide: the page is %d pixels too wide", path, screen.width, overflow)
		}
	}
	b.Do(t, chromedp.EmulateViewport(1280, 900))
}

// Shoot takes a picture for the docs, where SLUICE_SCREENSHOTS names a directory for them: once the page's script had time for
// two rounds.
func (b *Browser) Shoot(t *testing.T, name, path string) {
	t.Helper()
	dir := os.Getenv("SLUICE_SCREENSHOTS")
	if dir == "" {
		return
	}
	var png []byte
	b.Do(t, chromedp.EmulateViewport(1280, 800), emulation.SetEmulatedMedia(), chromedp.Navigate("about:blank"), chromedp.Navigate(b.URL+path), chromedp.WaitVisible("main"),
		chromedp.Sleep(11*time.Second), chromedp.CaptureScreenshot(&png))
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil { //nolint:gosec // a picture for everybody
		t.Fatal(err)
	}
}

// Complaints are what the console told so far: errors of scripts, and what was refused or could not be loaded.
func (b *Browser) Complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.complaints)
}
