package join

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"sluice/pki"
)

// Paths of the API that need no token of its own: who asks shows a secret, or a certificate.
const (
	AuthorityPath = "/v1/authority" // GET: the authority's certificate, in PEM, for everybody
	JoinPath      = "/v1/join"      // POST an Entry
	RenewalPath   = "/v1/renewals"  // POST a Renewal, with the certificate that is to be followed
)

// Entry asks to be let in.
type Entry struct {
	ID      string `json:"id"`
	Secret  string `json:"secret"`
	Request string `json:"request"` // for a certificate, in PEM
}

// Renewal asks for the next certificate of whoever shows the one before.
type Renewal struct {
	Request string `json:"request"` // in PEM
}

// Answer is what both get.
type Answer struct {
	Certificate string  `json:"certificate"` // in PEM
	Authority   string  `json:"authority"`   // in PEM
	Cluster     Cluster `json:"cluster"`
}

// Bounds of an exchange.
const (
	exchangeTime = 30 * time.Second
	MaxMessage   = 64 << 10 // bytes: certificates are a few kB
)

// Join makes a key in a directory, has it certified, and keeps all that the host needs there. The
// secret is shown to no one but a controller of the authority that the token names.
func (t Token) Join(ctx context.Context, dir string) (Cluster, error) {
	c, err := t.join(ctx, dir)
	if err != nil {
		return c, fmt.Errorf("join as host %s by %s: %w", t.Host, t.API, err)
	}
	return c, nil
}

func (t Token) join(ctx context.Context, dir string) (Cluster, error) {
	authority, err := t.authority(ctx)
	if err != nil {
		return Cluster{}, err
	}
	believe, err := pki.ClientOf(authority)
	if err != nil {
		return Cluster{}, err
	}
	request, err := pki.NewRequest(pki.Host(t.Host))
	if err != nil {
		return Cluster{}, err
	}
	a, err := exchange(ctx, believe, t.API+JoinPath, Entry{ID: t.ID, Secret: t.Secret, Request: string(request.PEM)})
	if err != nil {
		return Cluster{}, err
	}
	if a.Cluster.Host != t.Host {
		return Cluster{}, fmt.Errorf("the answer is for host %q", a.Cluster.Host)
	}
	if err := request.Install(dir, []byte(a.Certificate), authority); err != nil {
		return Cluster{}, err
	}
	a.Cluster.Invitation = t.ID
	return a.Cluster, a.Cluster.save(dir)
}

// authority fetches the authority's certificate from whoever answers, and believes it by the hash.
func (t Token) authority(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.API+AuthorityPath, nil)
	if err != nil {
		return nil, err
	}
	// Nothing secret goes there, and what comes is checked by its hash.
	text, err := send(req, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13})
	if err != nil {
		return nil, err
	}
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, errors.New("its authority is not the one that the token names: the token is of another cluster, or someone stands between")
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil && HashOf(c) == t.Authority {
			return pem.EncodeToMemory(block), nil // this one alone: the others may be anybody's
		}
	}
}

// Signer asks the controllers for the next certificate of an identity, one after the other, and keeps
// what they tell of the cluster, and its authority's certificate, in the directory of the one before.
func (c Cluster) Signer(source *pki.Source, dir string) pki.Signer {
	return func(ctx context.Context, request []byte) ([]byte, error) {
		if now, err := Load(dir); err == nil { // the last answer may have told of other controllers
			c = now
		}
		var errs []error
		for _, api := range c.API {
			a, err := exchange(ctx, source.Client(), api+RenewalPath, Renewal{Request: string(request)})
			if err == nil {
				a.Cluster.Invitation = c.Invitation
				return []byte(a.Certificate), a.keep(dir)
			}
			errs = append(errs, err)
		}
		return nil, fmt.Errorf("controllers %v: %w", c.API, errors.Join(errs...))
	}
}

// keep writes what an answer tells besides the certificate.
func (a Answer) keep(dir string) error {
	if _, err := pki.ClientOf([]byte(a.Authority)); err != nil {
		return err
	}
	err := renameio.WriteFile(filepath.Join(dir, pki.AuthorityFile), []byte(a.Authority), 0o644, renameio.IgnoreUmask())
	if err != nil || a.Cluster.Host == "" {
		return err
	}
	return a.Cluster.save(dir)
}

// exchange posts a message and reads the answer.
func exchange(ctx context.Context, secure *tls.Config, url string, message any) (a Answer, err error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTime)
	defer cancel()
	b, err := json.Marshal(message)
	if err != nil {
		return a, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(b))
	if err != nil {
		return a, err
	}
	req.Header.Set("Content-Type", "application/json")
	text, err := send(req, secure)
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return a, fmt.Errorf("the answer of %s: %w", url, err)
	}
	return a, nil
}

// send returns the body of an answer, or what a refusal says.
func send(req *http.Request, secure *tls.Config) ([]byte, error) {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: secure, DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, MaxMessage))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New(refusal(resp.Status, b))
	}
	return b, nil
}

// refusal is what a problem document (RFC 9457) says, or the status.
func refusal(status string, body []byte) string {
	var p struct{ Detail string }
	if json.Unmarshal(body, &p) == nil && p.Detail != "" {
		return p.Detail
	}
	return strings.TrimSpace(status)
}
