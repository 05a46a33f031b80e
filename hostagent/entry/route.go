package entry

import (
	"fmt"
	"net/netip"

	"sluice/store"
)

// Route is a publication by a route with what is needed to carry requests there.
type Route struct {
	store.Route
	Tenant  string         `json:"tenant"`
	Number  uint32         `json:"number"` // the tenant's
	Name    string         `json:"name"`
	Created store.Revision `json:"created"`           // of the publication: another one of the name is another route
	Gateway string         `json:"gateway,omitempty"` // the tenant's gateway host; empty: it has none yet
	Relay   netip.AddrPort `json:"relay,omitzero"`    // where the agent of that host relays; none: it does not
	Target  netip.AddrPort `json:"target,omitzero"`   // where that host's kernel finds the container; none: nowhere yet
	// The same of the host to which switches send while they find the gateway host dead.
	Backup       string         `json:"backup,omitempty"`
	BackupRelay  netip.AddrPort `json:"backupRelay,omitzero"`
	BackupTarget netip.AddrPort `json:"backupTarget,omitzero"`
}

// key is the publication's.
func (r Route) key() string { return fmt.Sprintf("%s/%s", r.Tenant, r.Name) }

// way is the name of the connections that may serve one another's requests: those of one publication by one gateway host.
func (r Route) way() string { return fmt.Sprintf("%d.%s", r.Created, r.Gateway) }

// by is the route as it goes by its backup, where a host is that, or is the gateway host otherwise.
func (r Route) by(host string) Route {
	if host != "" && host == r.Backup {
		r.Gateway, r.Relay, r.Target = r.Backup, r.BackupRelay, r.BackupTarget
	}
	return r
}

// Routes are the routes that stand, sorted by tenant and name. Where their gateway hosts relay is left out.
func Routes(s *store.State) (list []Route) {
	for p := range s.Publications() {
		t := s.Tenant(p.Key.Tenant)
		if !s.Stands(p) {
			continue
		}
		r := Route{Route: p.Value.Route, Tenant: p.Key.Tenant, Number: t.Value.Number, Name: p.Key.Name, Created: p.Created}
		if g := s.Gateway(p.Key.Tenant); g != nil {
			r.Gateway, r.Backup = g.Value.Active, g.Value.Backup
			target := func(host string) (at netip.AddrPort) {
				if slot := s.Slot(host, t); slot != 0 {
					at = netip.AddrPortFrom(s.Transit().Address(slot), p.Value.On)
				}
				return at
			}
			r.Target, r.BackupTarget = target(r.Gateway), target(r.Backup)
		}
		list = append(list, r)
	}
	return list
}
