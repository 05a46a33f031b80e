package prove

import (
	"sluice/flows"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// This file says what a tenant is: who has its number, and which frames are its.

// matched is the number of the tenant whose frames the flow matches, if it names one: by all of
// metadata's half, or by the number of a port in a register.
func (r *run) matched() (tenant uint32, named bool) {
	if v := r.get(of.FieldMetadata); tenantBits&^v.known.Lo == 0 {
		tenant, _ = flows.MetadataOf(v.bits.Lo)
		return tenant, true
	}
	for _, register := range []of.Field{flows.RegSource, flows.RegDestination} {
		if p, known := r.portIn(register); known && p != nil {
			return p.tenant, true
		}
	}
	return 0, false
}

// tenantBits are metadata's of the tenant.
const tenantBits = 0xffffffff << 32

// owner holds the match against the cookie (rule owner). Classify and decap name a tenant by what they
// write.
func (r *run) owner() {
	cookie := r.slice.Tenant()
	tenant, named := r.matched()
	switch {
	case r.flow.Table == flows.TableClassify || r.flow.Table == flows.TableDecap:
	case !named:
		r.broken(RuleOwner, "its cookie is that of %s, and it passes frames of any tenant", r.tenantName(cookie))
	case tenant != cookie:
		r.broken(RuleOwner, "its cookie is that of %s, and it passes frames of %s", r.tenantName(cookie), r.tenantName(tenant))
	}
	r.owned(flows.RegSource, cookie)
	r.owned(flows.RegDestination, cookie)
}

// owned holds a port's number that the flow matches against the cookie.
func (r *run) owned(register of.Field, cookie uint32) {
	p, known := r.portIn(register)
	number, _ := r.number(register)
	switch {
	case !known || number == 0 || number == flows.GatewayPort:
	case p == nil:
		r.broken(RuleOwner, "it passes frames of port number %d, which no port here has, so that they may be of whoever gets the number", number)
	case p.tenant != cookie:
		r.broken(RuleOwner, "its cookie is that of %s, and it passes frames of port %s", r.tenantName(cookie), p.name())
	}
}

// writesMetadata holds metadata that the flow writes against its tenant.
func (r *run) writesMetadata() {
	v, ok := r.number(of.FieldMetadata)
	tenant, network := flows.MetadataOf(v)
	switch {
	case !ok:
		r.broken(RuleWrites, "it writes metadata of which a part is unknown, so that frames could become any tenant's")
	case tenant != r.tenant || tenant == 0:
		r.broken(RuleWrites, "it writes metadata of %s into frames of %s, which would reach its ports", r.tenantName(tenant), r.tenantName(r.tenant))
	case network != 0 && r.networkTenant(network) != tenant:
		r.broken(RuleWrites, "it writes network %d into metadata, which is no network of %s, so that frames would leave under its key",
			network, r.tenantName(tenant))
	}
}

// meter holds a meter against the tenant: another's would be used up.
func (r *run) meter(id uint32) {
	if r.tenant == 0 || flows.MeterTenant(id) != r.tenant {
		r.broken(RuleWrites, "it uses meter %d, which is not of %s, so that one tenant could use up what another may send", id, r.tenantName(r.tenant))
	}
}

// liveTenant is the tenant that has a number; nil: none has.
func (p *picture) liveTenant(number uint32) *store.Item[store.Tenant] {
	t := p.state.TenantByNumber(number)
	if t == nil || number < 1 || number > store.MaxTenantNumber || len(p.state.ContestedTenant(t)) > 0 {
		return nil
	}
	return t
}

// tenantName is a tenant in words.
func (p *picture) tenantName(number uint32) string {
	switch t := p.liveTenant(number); {
	case number == 0:
		return "no tenant"
	case t != nil:
		return "tenant " + t.Key.Tenant
	}
	return "a tenant that is not there"
}
