package store

import (
	"fmt"
	"hash/fnv"
	"strings"
)

// Prefix is where every key of Sluice begins in etcd.
const Prefix = "/sluice/v1/"

// Kind is the sort of object that a key names. Its text is the key's first part.
type Kind string

// The kinds, with the parts of their keys (design, section 5).
const (
	KindTenant           Kind = "tenants"            // {tenant}
	KindNetwork          Kind = "networks"           // {tenant}/{network}
	KindHost             Kind = "hosts"              // {host}
	KindPort             Kind = "ports"              // {host}/{tenant}/{network}/{port}
	KindGateway          Kind = "gateways"           // {tenant}
	KindMaster           Kind = "masters"            // {host}
	KindLiveHost         Kind = "live/hosts"         // {host}
	KindLiveController   Kind = "live/controllers"   // {name}
	KindStatusHost       Kind = "status/hosts"       // {host}
	KindStatusController Kind = "status/controllers" // {name}
	KindStatusCounters   Kind = "status/counters"    // {host}
	KindAlloc            Kind = "alloc"              // {what}/{scope...}/{value}

	// KindPresence is derived by State and never stored: {host}/{tenant}/{network}.
	KindPresence Kind = "presence"
)

// kinds lists those that are stored, longer texts before their own prefixes.
var kinds = []Kind{
	KindTenant, KindNetwork, KindHost, KindPort, KindGateway, KindMaster, KindLiveHost,
	KindLiveController, KindStatusHost, KindStatusController, KindStatusCounters, KindAlloc,
}

// Key names one object. Only the parts that its Kind lists are set; it is comparable.
type Key struct {
	Kind    Kind
	Host    string
	Tenant  string
	Network string
	Name    string
}

// NetworkName names a network inside the cluster.
type NetworkName struct{ Tenant, Network string }

func (n NetworkName) String() string { return n.Tenant + "/" + n.Network }

// TenantKey is the key of a tenant.
func TenantKey(tenant string) Key { return Key{Kind: KindTenant, Tenant: tenant} }

// NetworkKey is the key of a network.
func NetworkKey(tenant, network string) Key {
	return Key{Kind: KindNetwork, Tenant: tenant, Network: network}
}

// HostKey is the key of a host.
func HostKey(host string) Key { return Key{Kind: KindHost, Host: host} }

// PortKey is the key of a port.
func PortKey(host, tenant, network, port string) Key {
	return Key{Kind: KindPort, Host: host, Tenant: tenant, Network: network, Name: port}
}

// GatewayKey is the key of a tenant's gateway.
func GatewayKey(tenant string) Key { return Key{Kind: KindGateway, Tenant: tenant} }

// MasterKey is the key that says which controller programs a host.
func MasterKey(host string) Key { return Key{Kind: KindMaster, Host: host} }

// LiveHostKey is the lease key of a host.
func LiveHostKey(host string) Key { return Key{Kind: KindLiveHost, Host: host} }

// LiveControllerKey is the lease key of a controller.
func LiveControllerKey(name string) Key { return Key{Kind: KindLiveController, Name: name} }

// StatusHostKey is the key of a host's exception: it is behind, down, or lacks ports.
func StatusHostKey(host string) Key { return Key{Kind: KindStatusHost, Host: host} }

// StatusControllerKey is the key of a controller's floor.
func StatusControllerKey(name string) Key { return Key{Kind: KindStatusController, Name: name} }

// StatusCountersKey is the key of a host's counter checkpoint.
func StatusCountersKey(host string) Key { return Key{Kind: KindStatusCounters, Host: host} }

// AllocKey is the key of a taken name, number, segment or address: parts joined by "/".
func AllocKey(parts ...string) Key { return Key{Kind: KindAlloc, Name: strings.Join(parts, "/")} }

// NetworkName is the network that a port, network or presence key belongs to.
func (k Key) NetworkName() NetworkName { return NetworkName{k.Tenant, k.Network} }

// String is the key's path in etcd.
func (k Key) String() string {
	return Prefix + string(k.Kind) + "/" + strings.Join(k.parts(), "/")
}

func (k Key) parts() []string {
	switch k.Kind {
	case KindTenant, KindGateway:
		return []string{k.Tenant}
	case KindNetwork:
		return []string{k.Tenant, k.Network}
	case KindPort:
		return []string{k.Host, k.Tenant, k.Network, k.Name}
	case KindPresence:
		return []string{k.Host, k.Tenant, k.Network}
	case KindHost, KindMaster, KindLiveHost, KindStatusHost, KindStatusCounters:
		return []string{k.Host}
	default:
		return []string{k.Name}
	}
}

// ParseKey reads a path that etcd holds. Unknown paths are errors, not panics: others
// may write beside us.
func ParseKey(path string) (Key, error) {
	rest, ok := strings.CutPrefix(path, Prefix)
	if !ok {
		return Key{}, fmt.Errorf("key %q is not under %s", path, Prefix)
	}
	for _, kind := range kinds {
		if tail, ok := strings.CutPrefix(rest, string(kind)+"/"); ok {
			return keyOf(kind, tail, path)
		}
	}
	return Key{}, fmt.Errorf("key %q is of no known kind", path)
}

func keyOf(kind Kind, tail, path string) (Key, error) {
	if kind == KindAlloc {
		if tail == "" {
			return Key{}, fmt.Errorf("key %q has an empty part", path)
		}
		return Key{Kind: kind, Name: tail}, nil
	}
	key := Key{Kind: kind}
	fields := key.fields()
	parts := strings.Split(tail, "/")
	if len(parts) != len(fields) {
		return Key{}, fmt.Errorf("key %q has %d parts after %s, not %d", path, len(parts), kind, len(fields))
	}
	for i, part := range parts {
		if part == "" {
			return Key{}, fmt.Errorf("key %q has an empty part", path)
		}
		*fields[i] = part
	}
	return key, nil
}

// fields are the places of the key's parts, in the order of its path.
func (k *Key) fields() []*string {
	switch k.Kind {
	case KindTenant, KindGateway:
		return []*string{&k.Tenant}
	case KindNetwork:
		return []*string{&k.Tenant, &k.Network}
	case KindPort:
		return []*string{&k.Host, &k.Tenant, &k.Network, &k.Name}
	case KindHost, KindMaster, KindLiveHost, KindStatusHost, KindStatusCounters:
		return []*string{&k.Host}
	default:
		return []*string{&k.Name}
	}
}

// HostHash stands for a host's name where 32 bits must do (FNV-1a). Two hosts may share one.
func HostHash(name string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(name))
	return h.Sum32()
}
