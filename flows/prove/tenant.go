package prove

import (
	"slices"

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
	if from, known := r.number(flows.RegFrom); known && from != 0 && r.flow.Table == flows.TableAccountOut {
		return uint32(from), true // whose it was: there it counts, and nothing is written
	}
	return 0, false
}

// tenantBits are metadata's of the tenant.
const tenantBits = 0xffffffff << 32

// owner holds the match against the cookie (rule owner). Classify, decap and trunk name a tenant by what they
// write.
func (r *run) owner() {
	cookie := r.slice.Tenant()
	tenant, named := r.matched()
	switch {
	case r.flow.Table == flows.TableClassify || r.flow.Table == flows.TableDecap || r.flow.Table == flows.TableTrunk:
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
	case !known || number == 0 || number == flows.GatewayPort || number == flows.ResolverPort:
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

// meter holds a meter against the flow's tenant, which the rule owner holds against its frames: another's would be used
// up.
func (r *run) meter(id uint32) {
	if mine := r.slice.Tenant(); mine == 0 || r.meteredTenant(id) != mine {
		r.broken(RuleWrites, "it uses meter %d, which is not of %s, so that one tenant could use up what another may send", id, r.tenantName(mine))
	}
}

// meteredTenant is the number of the tenant whose frames a meter of this host bounds; 0: nobody's. What is bounded by the OpenFlow port
// of a container bounds that port, or the network of a tenant whose number stands for no slot.
func (r *run) meteredTenant(id uint32) uint32 {
	number, slot, ofport := flows.MeterBounds(id)
	switch {
	case number != 0:
		return number
	case slot != 0:
		if t := r.state.TenantBySlot(r.host, slot); t != nil {
			return t.Value.Number
		}
	case r.slice.Kind() == flows.KindPort:
		if p := r.livePort(r.slice.Port()); p != nil && p.ofport == ofport {
			return p.tenant
		}
	case r.slice.Kind() == flows.KindNetwork:
		if n := r.state.NetworkByNumber(uint32(r.slice)); n != nil && r.leadsInto(n.Key.NetworkName(), ofport) {
			return r.networkTenant(n.Value.Number)
		}
	}
	return 0
}

// leadsInto reports whether an OpenFlow port here is that of a port of a network.
func (r *run) leadsInto(n store.NetworkName, ofport uint32) bool {
	return ofport != 0 && slices.ContainsFunc(r.state.PortsAt(r.host, n), func(p *store.Item[store.Port]) bool { return r.ofport[p.Value.Interface] == ofport })
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
