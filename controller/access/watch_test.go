package access

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sluice/store"
)

// A watch takes no place from requests and is not cut after a time; there may be so many watches and no more.
func TestWatchesAreCountedApart(t *testing.T) {
	var log bytes.Buffer
	g, local := quiet(t, &log)
	g.crowd, g.watchers = newCrowd(1, 1, "requests are worked on"), newCrowd(1, 1, "watches last already")
	watch := func() *http.Request {
		r := ask("GET", local, "")
		r.URL.Path = WatchPath
		return r
	}
	second, plain := httptest.NewRecorder(), httptest.NewRecorder()
	g.Before(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, bounded := r.Context().Deadline(); bounded {
			t.Error("a watch ends after a time")
		}
		g.Before(http.NotFoundHandler()).ServeHTTP(second, watch())
		g.Before(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if _, bounded := r.Context().Deadline(); !bounded {
				t.Error("a request that is no watch is not bounded")
			}
		})).ServeHTTP(plain, ask("GET", local, ""))
	})).ServeHTTP(httptest.NewRecorder(), watch())
	if second.Code != http.StatusTooManyRequests || !strings.Contains(second.Body.String(), "too many of your watches last already") {
		t.Errorf("a second watch: %d %s", second.Code, second.Body)
	}
	if plain.Code != http.StatusOK {
		t.Errorf("a request during a watch: %d %s", plain.Code, plain.Body)
	}
	posted := ask("POST", local, "{}")
	if posted.URL.Path = WatchPath; isWatch(posted) {
		t.Error("a write counts as a watch")
	}
}

// Whoever began something and whose token is gone meanwhile, or is somebody else's, is told.
func TestStill(t *testing.T) {
	text, hash := NewToken("x")
	g, _ := held(true, token("x", store.Token{Role: store.RoleViewer, Hash: hash}))
	change := func(e store.Event) {
		g.authority.view(func(s *store.State) { s.Apply(store.Batch{Revision: s.Revision() + 1, Events: []store.Event{e}}) })
	}
	r := httptest.NewRequest("GET", "http://localhost/v1/x", nil)
	r.Header.Set("Authorization", "Bearer "+text)
	g.Before(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if err := Still(r.Context()); err != nil {
			t.Errorf("nothing changed: %v", err)
		}
		change(token("x", store.Token{Role: store.RoleAdmin, Hash: hash}))
		if err := Still(r.Context()); err == nil || !strings.Contains(err.Error(), "somebody else") {
			t.Errorf("the token has another role: %v", err)
		}
		change(store.Event{Key: store.TokenKey("x")})
		if err := Still(r.Context()); err == nil || !strings.Contains(err.Error(), "not known") {
			t.Errorf("the token is gone: %v", err)
		}
	})).ServeHTTP(httptest.NewRecorder(), r)
	if err := Still(t.Context()); err != nil {
		t.Errorf("who came without a guard: %v", err)
	}
}

func TestEnding(t *testing.T) {
	server, end := context.WithCancel(t.Context())
	ctx := ending(server)
	select {
	case <-Ending(ctx):
		t.Fatal("it ends already")
	default:
	}
	end()
	<-Ending(ctx)
	if ctx.Err() != nil {
		t.Error("requests in flight end at once")
	}
	if Ending(t.Context()) != nil {
		t.Error("without a server there is an end")
	}
}
