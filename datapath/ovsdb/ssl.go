package ovsdb

import (
	"context"
	"fmt"
)

// SSL is how the switch proves who it is where it dials with ssl:, and whom it believes. All are
// paths of PEM files, which ovs-vswitchd reads itself, and again when it finds them changed.
type SSL struct {
	PrivateKey, Certificate string // may be one file; of two, both must change
	Authority               string
}

// SSL reads how the switch proves who it is; nil: not at all. The setting is the whole switch's,
// whatever bridges it has.
func (d *DB) SSL(ctx context.Context) (*SSL, error) {
	var s *SSL
	err := d.read(ctx, func(t *tx) error {
		row, err := t.ssl()
		if err == nil && row != nil && !row.Bootstrap {
			s = &SSL{row.PrivateKey, row.Certificate, row.CACert}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the switch's certificate: %w", err)
	}
	return s, nil
}

// EnsureSSL sets how the switch proves who it is. It never takes the authority from whom it dials
// (bootstrap_ca_cert). changed reports whether anything was written.
func (d *DB) EnsureSSL(ctx context.Context, s SSL) (changed bool, err error) {
	changed, err = d.change(ctx, func(t *tx) error { return t.planSSL(s) })
	if err != nil {
		return changed, fmt.Errorf("set the switch's certificate: %w", err)
	}
	return changed, nil
}

func (t *tx) planSSL(s SSL) error {
	row, err := t.ssl()
	if err != nil {
		return err
	}
	want := &sslRow{UUID: "ssl", PrivateKey: s.PrivateKey, Certificate: s.Certificate, CACert: s.Authority}
	if row != nil {
		if want.UUID = row.UUID; *want == *row {
			return nil
		}
		return t.add(t.Where(row).Update(want, &want.PrivateKey, &want.Certificate, &want.CACert, &want.Bootstrap))
	}
	root, err := t.root()
	if err != nil {
		return err
	}
	if err := t.create(want); err != nil {
		return err
	}
	with := *root
	with.SSL = &want.UUID
	return t.add(t.Where(root).Update(&with, &with.SSL))
}

// ssl is the row that the root refers to; nil: it has none.
func (t *tx) ssl() (*sslRow, error) {
	root, err := t.root()
	if err != nil || root.SSL == nil {
		return nil, err
	}
	row := &sslRow{UUID: *root.SSL}
	return row, t.refer(row)
}
