package pki

import (
	"context"
	"crypto/x509"
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

// Renew replaces the certificate; see the function.
func (s *Source) Renew(ctx context.Context, sign Signer) error {
	return Renew(ctx, filepath.Dir(s.file), s.who, sign)
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
