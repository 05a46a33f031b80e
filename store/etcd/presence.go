package etcd

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
)

// TenantHosts are the hosts that hold flows of a tenant: those of its ports, and its gateway
// hosts; sorted. all is false where the tenant has more than limit ports, and then the list
// says nothing.
func (c *Client) TenantHosts(ctx context.Context, tenant string, limit int64) (hosts []string, all bool, err error) {
	ports, gateway := store.PortNamesUnder(tenant), store.GatewayKey(tenant)
	got, _, err := c.read(ctx, clientv3.OpGet(ports, clientv3.WithPrefix(), clientv3.WithLimit(limit)), clientv3.OpGet(gateway.String()))
	if err != nil {
		return nil, false, fmt.Errorf("hosts of tenant %s: %w", tenant, err)
	}
	if got[0].More {
		return nil, false, nil
	}
	for _, kv := range got[0].Kvs {
		var name store.Alloc
		if err := json.Unmarshal(kv.Value, &name); err != nil {
			continue // Watch tells of what cannot be read
		}
		if key, err := store.ParseKey(store.Prefix + name.Owner); err == nil {
			hosts = append(hosts, key.Host)
		}
	}
	g, err := item[store.Gateway](got[1])
	if err == nil && g != nil {
		hosts = append(hosts, g.Value.Members()...)
	}
	slices.Sort(hosts)
	return slices.Compact(hosts), true, nil
}

// NetworkMACs are the MACs that ports of a network have, some limit of them at most.
func (c *Client) NetworkMACs(ctx context.Context, network store.NetworkName, limit int64) (list []store.MAC, err error) {
	if err := store.CheckPath(store.NetworkKey(network.Tenant, network.Network).String()); err != nil {
		return nil, err
	}
	under := store.MACsUnder(network)
	got, _, err := c.read(ctx, clientv3.OpGet(under, clientv3.WithPrefix(), clientv3.WithKeysOnly(), clientv3.WithLimit(limit)))
	if err != nil {
		return nil, fmt.Errorf("MACs of network %s: %w", network, err)
	}
	for _, kv := range got[0].Kvs {
		if mac, err := store.ParseMAC(strings.TrimPrefix(string(kv.Key), under)); err == nil {
			list = append(list, mac)
		}
	}
	return list, nil
}
