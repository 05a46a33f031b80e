package api

import (
	"bytes"
	"io"
	"net/http"

	"sluice/controller/client"
)

// Within makes a client of an API in this process. What it asks is asked by whoever the context names, as package
// access put it there: it has no token of its own.
func Within(api http.Handler) *client.Client {
	c, err := client.Dial("http://sluice", client.WithTransport(within{api}))
	if err != nil {
		panic(err) // of the address above alone
	}
	return c
}

// within answers requests by a handler.
type within struct{ api http.Handler }

// RoundTrip implements http.RoundTripper.
func (w within) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := &keptAnswer{header: http.Header{}, status: http.StatusOK}
	w.api.ServeHTTP(answer, r)
	return &http.Response{
		Status: http.StatusText(answer.status), StatusCode: answer.status, Header: answer.header, Request: r,
		Proto: r.Proto, ProtoMajor: r.ProtoMajor, ProtoMinor: r.ProtoMinor,
		Body: io.NopCloser(&answer.body), ContentLength: int64(answer.body.Len()),
	}, nil
}

// keptAnswer keeps an answer.
type keptAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *keptAnswer) Header() http.Header         { return a.header }
func (a *keptAnswer) WriteHeader(status int)      { a.status = status }
func (a *keptAnswer) Write(b []byte) (int, error) { return a.body.Write(b) }
