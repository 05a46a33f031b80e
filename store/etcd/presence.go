package etcd

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

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
		hosts = append(append(hosts, g.Value.Active), g.Value.Draining...)
	}
	slices.Sort(hosts)
	return slices.Compact(hosts), true, nil
}
