package pki

import "time"

// Issue makes a key, has the authority sign it, and installs both in a directory: for an identity
// of the authority's own machine.
func (a *Authority) Issue(dir string, who Identity, names []string, lifetime time.Duration) error {
	r, err := NewRequest(who)
	if err != nil {
		return err
	}
	certificate, err := a.Sign(r.PEM, who, names, lifetime)
	if err != nil {
		return err
	}
	return r.Install(dir, certificate, a.PEM())
}
