package pki

import (
	"context"
	"crypto/x509"
	"fmt"
	"path/filepath"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Signer asks an authority, wherever it is, to sign a request of this identity, in PEM.
type Signer func(ctx context.Context, request []byte) (certificate []byte, err error)

// RenewAt is when a certificate should be renewed: after two thirds of its life. The last third is
// for an authority that cannot be reached.
func RenewAt(c *x509.Certificate) time.Time {
	return c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore) / 3 * 2)
}

// Renew makes a new key and replaces the certificate with one for it. Whoever has the Source uses
// the new one from the next connection on.
func (s *Source) Renew(ctx context.Context, sign Signer) error {
	r, err := NewRequest(s.who)
	if err != nil {
		return err
	}
	certificate, err := sign(ctx, r.PEM)
	if err != nil {
		return fmt.Errorf("renew the certificate of %s: %w", s.who, err)
	}
	return r.Install(filepath.Dir(s.file), certificate, nil)
}

// Bounds of KeepRenewed.
const (
	lookAgain  = time.Hour // someone else may have renewed it, and clocks jump
	retryFirst = time.Minute
)

// KeepRenewed renews the certificate whenever its time comes, until ctx ends. What fails is
// logged and tried again.
func (s *Source) KeepRenewed(ctx context.Context, sign Signer) {
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval, retry.MaxInterval = retryFirst, lookAgain
	for {
		pause := lookAgain
		if due := time.Until(RenewAt(s.Certificate())); due > 0 {
			pause = min(pause, due)
			retry.Reset()
		} else if err := s.Renew(ctx, sign); err != nil {
			pause = retry.NextBackOff()
			s.log.Warn("cannot renew the certificate, trying again", "identity", s.who,
				"until", s.Certificate().NotAfter, "again", pause.Round(time.Second), "err", err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}
