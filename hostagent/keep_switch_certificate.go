package hostagent

import (
	"context"
	"log/slog"

	"sluice/datapath/ovsdb"
	"sluice/pki"
)

// switchCertificate keeps what the switch shows to controllers, and by which authority it believes
// them. Without an identity it leaves the switch's setting alone: it may be another program's.
type switchCertificate struct {
	identity *pki.Source // nil: none
	db       *ovsdb.DB
	log      *slog.Logger
}

func (c switchCertificate) is(ctx context.Context) (*ovsdb.SSL, error) { return c.db.SSL(ctx) }

func (c switchCertificate) should(context.Context) (*ovsdb.SSL, error) {
	return certificateFor(c.identity), nil
}

// certificateFor names one file as key and as certificate: Open vSwitch reads them again only where
// both have changed.
func certificateFor(identity *pki.Source) *ovsdb.SSL {
	if identity == nil {
		return nil
	}
	return &ovsdb.SSL{PrivateKey: identity.File(), Certificate: identity.File(), Authority: identity.AuthorityFile()}
}

func (c switchCertificate) makeSo(ctx context.Context, should, is *ovsdb.SSL) error {
	if should == nil || is != nil && *is == *should {
		return nil
	}
	changed, err := c.db.EnsureSSL(ctx, *should)
	if err == nil && changed {
		c.log.Info("the switch shows a certificate", "identity", c.identity.Identity())
	}
	return err
}
