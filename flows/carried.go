package flows

import (
	"fmt"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// Carried puts into words what a frame carries from table to table: registers, metadata, and the
// host that it is sent to. It is empty for any other field. Names of tenants that sees does not
// report are not told.
func Carried(s *store.State, sees func(tenant string) bool, f of.Field, v of.Value) string {
	switch f {
	case regOrigin:
		return "origin " + originName(v.Lo)
	case regSource:
		return "source " + portName(s, sees, uint32(v.Lo))
	case regDestination:
		return "destination " + portName(s, sees, uint32(v.Lo))
	case regFrom:
		return fromName(s, sees, uint32(v.Lo))
	case regScope:
		return "counts as " + scopeName(v.Lo)
	case of.FieldMetadata:
		return networkWords(s, sees, v.Lo)
	case of.FieldTunDst, of.FieldTunIPv6Dst:
		return hostWords(s, f, v)
	}
	return ""
}

// IsReason reports whether a field holds why a frame is refused, on the way to the drop table.
func IsReason(f of.Field) bool { return f == regReason }

func originName(n uint64) string {
	switch n {
	case originPort:
		return "a port"
	case originTunnel:
		return "a tunnel"
	case originGateway:
		return "the gateway's kernel"
	case originHandOver:
		return "another gateway host"
	case originResolver:
		return "the resolver"
	case originRelay:
		return "a tunnel, relayed"
	case originTrunk:
		return "the trunk"
	}
	return fmt.Sprint(n)
}

func scopeName(n uint64) string {
	switch n {
	case scopeInternal:
		return ScopeInternal
	case scopeEgress:
		return ScopeEgress
	case scopePeering:
		return ScopePeering
	case scopePublished:
		return ScopePublished
	}
	return fmt.Sprint(n)
}

// fromName is the tenant that a frame was of before it entered a network of a peered one.
func fromName(s *store.State, sees func(string) bool, number uint32) string {
	switch t := s.TenantByNumber(number); {
	case number == 0:
		return ""
	case t == nil:
		return fmt.Sprintf("from tenant number %d, which nobody has", number)
	case !sees(t.Key.Tenant):
		return "from another tenant"
	default:
		return "from tenant " + t.Key.Tenant
	}
}

// portName is a port by its number, as registers hold it.
func portName(s *store.State, sees func(string) bool, number uint32) string {
	switch p := s.PortByNumber(number); {
	case number == 0:
		return "none"
	case number == gatewayPort:
		return "the gateway port"
	case number == resolverPort:
		return "the resolver"
	case p == nil:
		return fmt.Sprintf("port number %d, which nobody has", number)
	case !sees(p.Key.Tenant):
		return "a port of another tenant"
	default:
		return p.Key.NetworkName().String() + "/" + p.Key.Name
	}
}

// networkWords are the tenant and network that metadata names.
func networkWords(s *store.State, sees func(string) bool, m uint64) string {
	tenant, network := uint32(m>>32), uint32(m)
	t, n := s.TenantByNumber(tenant), s.NetworkByNumber(network)
	switch {
	case t == nil:
		return fmt.Sprintf("tenant number %d, which nobody has", tenant)
	case !sees(t.Key.Tenant):
		return "another tenant"
	case network == 0:
		return "tenant " + t.Key.Tenant
	case n == nil || n.Key.Tenant != t.Key.Tenant:
		return fmt.Sprintf("tenant %s, network number %d, which it does not have", t.Key.Tenant, network)
	}
	return "network " + n.Key.NetworkName().String()
}

// hostWords is the host that has a tunnel address.
func hostWords(s *store.State, f of.Field, v of.Value) string {
	a := v.IP(f == of.FieldTunIPv6Dst)
	if h := s.HostByVTEP(a); h != nil {
		return "by tunnel to " + h.Key.Host
	}
	if a.IsUnspecified() {
		return ""
	}
	return "by tunnel to " + a.String() + ", which no host has"
}
