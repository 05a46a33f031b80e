// Package enrol decides for whom the cluster's authority signs: a host that shows an invitation's
// secret, and whoever shows a certificate that is still believed and asks for the next one. It keeps
// etcd's users in line with the hosts that are enrolled.
//
// In the loop it stands beside the programming: it observes the picture, and what it writes comes back
// through the watch like anybody's change. Every controller does this work; only one that holds the
// authority's key signs.
//
// It must never sign a name that somebody asks for: the name is the invitation's, or that of the
// certificate before. It sees no key but the authority's.
package enrol

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sluice/controller/cluster"
	"sluice/controller/signal"
	"sluice/pki"
	"sluice/pki/join"
	"sluice/store"
)

// Store is what enrolling needs of etcd.
type Store interface {
	Get(ctx context.Context, key store.Key) (store.Object, store.Revision, error)
	Decide(ctx context.Context, request func(*store.State) (store.Proposal, error), needs ...string) (store.Revision, error)
	AddUser(ctx context.Context, host string) error
	KeepUsers(ctx context.Context, hosts []string) error
	AuditUsers(ctx context.Context, hosts []string) error
}

// Options are what enrolling stands on. Authority may be nil; the rest is required.
type Options struct {
	Controller string         // its name
	Authority  *pki.Authority // nil: its key is on another machine
	Etcd       []string       // URLs of etcd, as hosts reach it
	Picture    *cluster.Picture
	Store      Store
	Log        *slog.Logger
}

// Office enrols hosts and renews certificates.
type Office struct {
	Options
	changed signal.Flag // enrolments may be others than etcd's users
}

// New makes an office; Keep keeps etcd's users.
func New(o Options) *Office { return &Office{Options: o, changed: signal.NewFlag()} }

// Bounds of an invitation's life.
const (
	DefaultLifetime = time.Hour
	maxLifetime     = 7 * 24 * time.Hour
)

// Invitation is whom to invite.
type Invitation struct {
	Host     string
	API      string // the URL by which the host reaches a controller that signs; empty: this one's
	By       string // who invites, for people
	Lifetime time.Duration
	Anew     bool // a host that is enrolled may be replaced
}

// Invite makes a token that lets one machine join as a host within a time, and returns the revision
// from which on it is good.
func (o *Office) Invite(ctx context.Context, v Invitation) (join.Token, store.Invitation, store.Revision, error) {
	t, i, err := o.draft(v)
	if err == nil {
		var rev store.Revision
		rev, err = o.Store.Decide(ctx, func(s *store.State) (store.Proposal, error) { return store.ProposeInvitation(s, t.ID, i, v.Anew) },
			store.EnrolmentKey(v.Host).String())
		if err == nil {
			o.Log.Info("host invited", "host", v.Host, "by", v.By, "expires", i.Expires)
			return t, i, rev, nil
		}
	}
	return join.Token{}, store.Invitation{}, 0, fmt.Errorf("invite host %s: %w", v.Host, err)
}

// draft makes a token and what etcd is to hold of it.
func (o *Office) draft(v Invitation) (t join.Token, i store.Invitation, err error) {
	if v.Lifetime <= 0 || v.Lifetime > maxLifetime {
		return t, i, fmt.Errorf("%w: the token would expire in %s: choose more than 0 and at most %s", store.ErrInvalid, v.Lifetime.Round(time.Second), maxLifetime)
	}
	if err := o.signs(); err != nil {
		return t, i, err
	}
	if v.API == "" {
		if v.API, err = o.api(); err != nil {
			return t, i, err
		}
	}
	if err := o.etcdIsReached(v.API); err != nil {
		return t, i, err
	}
	t = join.New(v.Host, v.API, o.Authority.Certificate())
	if _, err := join.Parse(t.String()); err != nil {
		return t, i, fmt.Errorf("%w: %w", store.ErrInvalid, err)
	}
	return t, store.Invitation{Host: v.Host, SecretHash: join.HashOfSecret(t.Secret), Expires: time.Now().Add(v.Lifetime).UTC(), By: v.By}, nil
}

// api is where hosts reach this controller's API.
func (o *Office) api() (api string, err error) {
	o.Picture.View(func(s *store.State) {
		if live := s.LiveController(o.Controller); live != nil {
			api = live.Value.API
		}
	})
	if u, bad := url.Parse(api); bad != nil || u.Scheme != "https" || !reachable(u.Host) {
		return "", fmt.Errorf("%w: hosts cannot reach the API at %q: let the controller listen with --listen-api on an address of its network, "+
			"or name the URL by which they do with --via", store.ErrInvalid, api)
	}
	return api, nil
}

// ErrNoKey says that this controller cannot sign; its text says which can.
var ErrNoKey = errors.New("the authority's key is not here")

// signs says who does, where this controller does not.
func (o *Office) signs() error {
	if o.Authority != nil {
		return nil
	}
	var others []string
	o.Picture.View(func(s *store.State) {
		for c := range s.LiveControllers() {
			if c.Value.Signs {
				others = append(others, c.Key.Name+" at "+c.Value.API)
			}
		}
	})
	if len(others) == 0 {
		return fmt.Errorf("%w: no controller that runs has it: run one where `sluice pki init` made it", ErrNoKey)
	}
	return fmt.Errorf("%w: ask controller %s", ErrNoKey, strings.Join(others, " or "))
}

// Admit enrols a host whose certificate was made by hand, with `sluice pki`.
func (o *Office) Admit(ctx context.Context, host, by string) (store.Revision, error) {
	e := store.Enrolment{By: by, Since: time.Now().UTC()}
	rev, err := o.Store.Decide(ctx, func(s *store.State) (store.Proposal, error) { return store.ProposeAdmission(s, host, e) },
		store.EnrolmentKey(host).String())
	if err != nil {
		return 0, fmt.Errorf("enrol host %s: %w", host, err)
	}
	o.Log.Info("host enrolled", "host", host, "by", by)
	o.addUser(ctx, host)
	return rev, nil
}

// addUser lets etcd know a host that was enrolled. Where that fails Keep does it a moment later: the
// host's agent tries until then.
func (o *Office) addUser(ctx context.Context, host string) {
	if err := o.Store.AddUser(ctx, host); err != nil {
		o.Log.Warn("etcd does not know the host yet", "host", host, "err", err)
		o.changed.Set()
	}
}

// Signed is the answer to somebody whose request was signed.
type Signed struct {
	Answer   join.Answer
	Object   string         // what it was for, as the audit log names it
	Revision store.Revision // at which it was written; 0: nothing was
}

// Join enrols the host that an invitation is for, and signs its first certificate. The invitation is
// used up in the transaction that enrols.
func (o *Office) Join(ctx context.Context, entry join.Entry) (Signed, error) {
	if err := o.signs(); err != nil {
		return Signed{}, err
	}
	hash, now := join.HashOfSecret(entry.Secret), time.Now().UTC()
	invitation, err := o.invitation(ctx, entry.ID, hash, now)
	if err != nil {
		return Signed{}, err
	}
	certificate, leaf, err := o.sign(entry.Request, pki.Host(invitation.Host), nil)
	if err != nil {
		return Signed{}, err
	}
	e := store.Enrolment{NotBefore: leaf.NotBefore.UTC(), Since: now}
	rev, err := o.Store.Decide(ctx, func(s *store.State) (store.Proposal, error) { return store.ProposeEnrolment(s, entry.ID, hash, e) },
		store.InvitationKey(entry.ID).String())
	if err != nil {
		return Signed{}, fmt.Errorf("enrol host %s: %w", invitation.Host, err)
	}
	o.Log.Info("host enrolled", "host", invitation.Host, "by", invitation.By, "until", leaf.NotAfter)
	o.addUser(ctx, invitation.Host)
	return Signed{o.answer(certificate, o.cluster(invitation.Host)), "enrolment of host " + invitation.Host, rev}, nil
}

// invitation is the one that a secret belongs to, as etcd has it now.
func (o *Office) invitation(ctx context.Context, id, hash string, now time.Time) (i store.Invitation, err error) {
	_, err = o.Store.Decide(ctx, func(s *store.State) (store.Proposal, error) {
		found, err := s.Invited(id, hash, now)
		if err == nil {
			i = *found.Value
		}
		return store.Proposal{}, err
	}, store.InvitationKey(id).String())
	return i, err
}

// Renew signs the next certificate of whoever showed one, for the same identity with the same names.
// A host that is not enrolled, or enrolled anew since, gets none.
func (o *Office) Renew(ctx context.Context, shown *x509.Certificate, request string) (Signed, error) {
	if err := o.signs(); err != nil {
		return Signed{}, err
	}
	who, err := pki.Of(shown)
	if err != nil {
		return Signed{}, fmt.Errorf("%w: %w", store.ErrNotAllowed, err)
	}
	var cluster join.Cluster
	if who.Role == pki.RoleHost {
		if err := o.believes(ctx, who.Name, shown.NotBefore); err != nil {
			return Signed{}, err
		}
		cluster = o.cluster(who.Name)
	}
	certificate, leaf, err := o.sign(request, who, pki.NamesOf(shown))
	if err != nil {
		return Signed{}, err
	}
	o.Log.Info("certificate renewed", "identity", who, "until", leaf.NotAfter)
	return Signed{o.answer(certificate, cluster), "certificate of " + who.String(), 0}, nil
}

// believes asks etcd itself: the picture may be a moment behind.
func (o *Office) believes(ctx context.Context, host string, validFrom time.Time) error {
	found, _, err := o.Store.Get(ctx, store.EnrolmentKey(host))
	if err != nil {
		return err
	}
	if e, _ := found.(*store.Enrolment); !e.Believes(validFrom) {
		return fmt.Errorf("%w: host %s is not enrolled, or not with this certificate", store.ErrNotAllowed, host)
	}
	return nil
}

func (o *Office) sign(request string, who pki.Identity, names []string) (text []byte, leaf *x509.Certificate, err error) {
	if text, err = o.Authority.Sign([]byte(request), who, names, pki.Lifetime); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", store.ErrInvalid, err)
	}
	block, _ := pem.Decode(text)
	leaf, err = x509.ParseCertificate(block.Bytes)
	return text, leaf, err
}

func (o *Office) answer(certificate []byte, c join.Cluster) join.Answer {
	return join.Answer{Certificate: string(certificate), Authority: string(o.Authority.PEM()), Cluster: c}
}

// cluster is what a host is to know: every controller that runs, and those that sign.
func (o *Office) cluster(host string) join.Cluster {
	c := join.Cluster{Host: host, Etcd: o.Etcd}
	o.Picture.View(func(s *store.State) {
		for live := range s.LiveControllers() {
			if at := live.Value.OpenFlow; reachable(at) {
				c.Controllers = append(c.Controllers, "ssl:"+at)
			}
			if live.Value.Signs {
				c.API = append(c.API, live.Value.API)
			}
		}
	})
	return c
}

// etcdIsReached refuses to invite hosts to an etcd that only this machine reaches, while the API is for
// others too.
func (o *Office) etcdIsReached(api string) error {
	if local(api) || slices.ContainsFunc(o.Etcd, func(endpoint string) bool { return !local(endpoint) }) {
		return nil
	}
	return fmt.Errorf("%w: hosts cannot reach etcd at %s: let the embedded one listen on an address of its network, with --embedded-etcd-client-url",
		store.ErrInvalid, strings.Join(o.Etcd, ", "))
}

// local reports whether a URL is this machine's loopback.
func local(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// Signer asks the authority for the next certificate of this machine's own: the one that is here, or
// that of the controllers that have it.
func (o *Office) Signer(source *pki.Source) pki.Signer {
	return func(ctx context.Context, request []byte) ([]byte, error) {
		if o.Authority != nil {
			return o.Authority.RenewalOf(source.Certificate())(ctx, request)
		}
		return o.cluster("").Signer(source, filepath.Dir(source.File()))(ctx, request)
	}
}

// reachable reports whether HOST:PORT is an address, and not all of a machine's.
func reachable(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && host != "" && (ip == nil || !ip.IsUnspecified())
}
