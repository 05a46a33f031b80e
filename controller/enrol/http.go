package enrol

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"sluice/pki/join"
	"sluice/store"
	"sluice/store/httpstatus"
)

// Handler answers those who have no token of the API's: who asks shows an invitation's secret, or a
// certificate. It is to be served over TLS which asks for certificates and takes none too. What was signed is told
// to told.
func (o *Office) Handler(told func(context.Context, Signed)) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+join.AuthorityPath, o.serveAuthority)
	mux.HandleFunc("POST "+join.JoinPath, func(w http.ResponseWriter, r *http.Request) {
		serve(w, r, told, func(entry join.Entry) (Signed, error) { return o.Join(r.Context(), entry) })
	})
	mux.HandleFunc("POST "+join.RenewalPath, func(w http.ResponseWriter, r *http.Request) {
		serve(w, r, told, func(renewal join.Renewal) (Signed, error) { return o.renew(r, renewal.Request) })
	})
	return mux
}

// Serves reports whether a path is one of Handler's.
func Serves(path string) bool {
	return path == join.AuthorityPath || path == join.JoinPath || path == join.RenewalPath
}

func (o *Office) serveAuthority(w http.ResponseWriter, _ *http.Request) {
	if err := o.signs(); err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-pem-file")
	_, _ = w.Write(o.Authority.PEM())
}

func (o *Office) renew(r *http.Request, request string) (Signed, error) {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return Signed{}, errNoCertificate
	}
	return o.Renew(r.Context(), r.TLS.VerifiedChains[0][0], request)
}

var (
	errNoCertificate = fmt.Errorf("%w: show the certificate that is to be followed", store.ErrNotAllowed)
	errNoTLS         = fmt.Errorf("%w: this is served over TLS alone", store.ErrNotAllowed)
)

// serve reads a message and writes the answer.
func serve[T any](w http.ResponseWriter, r *http.Request, told func(context.Context, Signed), f func(T) (Signed, error)) {
	if r.TLS == nil { // a secret in the clear is none
		refuse(w, errNoTLS)
		return
	}
	var message T
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, join.MaxMessage)).Decode(&message); err != nil {
		refuse(w, fmt.Errorf("%w: %w", store.ErrInvalid, err))
		return
	}
	signed, err := f(message)
	if err != nil {
		refuse(w, err)
		return
	}
	told(r.Context(), signed)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(signed.Answer)
}

// refuse answers with a problem document (RFC 9457).
func refuse(w http.ResponseWriter, err error) {
	status := httpstatus.Of(err)
	if errors.Is(err, ErrNoKey) {
		status = http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"title": http.StatusText(status), "status": status, "detail": err.Error()})
}
