package hostagent

import (
	"context"

	"sluice/store"
)

// forwarding lets IPv4 cross a gateway host between tenants and its uplinks, and no other way: the
// kernel asks the interface by which a packet comes in, so these alone are set.
// net.ipv4.ip_forward, which makes the host a router between all its interfaces, is the
// operator's.
type forwarding struct{ uplink string }

// routerSetting is 1 where the host's operator, or another program, made it a router.
const routerSetting = "net/ipv4/ip_forward"

func forwardingSetting(iface string) string { return "net/ipv4/conf/" + iface + "/forwarding" }

// is says of each interface that should forward whether it does.
func (f forwarding) is(ctx context.Context) (map[string]bool, error) {
	on := make(map[string]bool)
	ifaces, err := f.should(ctx)
	if err != nil {
		return nil, err
	}
	for _, iface := range ifaces {
		if on[iface], err = sysctlIs(forwardingSetting(iface), "1"); err != nil {
			return nil, err
		}
	}
	return on, nil
}

func (f forwarding) should(context.Context) ([]string, error) {
	names, err := uplinks(f.uplink)
	return append(names, store.GatewayInterface), err
}

func (f forwarding) makeSo(_ context.Context, should []string, is map[string]bool) error {
	for _, iface := range should {
		if is[iface] {
			continue
		}
		if err := setSysctl(forwardingSetting(iface), "1"); err != nil {
			return err
		}
	}
	return nil
}
