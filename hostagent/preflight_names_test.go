package hostagent

import (
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"sluice/store"
)

// A host that has the resolver's interface is not tried: what is tried makes links, at which the switch loses packets.
func TestNamesAreTriedOnce(t *testing.T) {
	h := newHost(t)
	o := h.options
	o.Resolver = true
	p := preflight{o: o}
	for _, link := range []string{probePort, store.ResolverInterface} {
		h.run("ip", "link", "add", link, "type", "veth", "peer", "name", link+"-x")
		t.Cleanup(func() {
			if err := deleteLink(link); err != nil {
				t.Error(err)
			}
		})
	}
	said, err := p.names(t.Context())
	if _, gone := netlink.LinkByName(probePort); err != nil || !strings.Contains(said, "is there") || gone != nil {
		t.Errorf("with a resolver: %q, %v; the probe: %v", said, err, gone)
	}
	h.run("ip", "link", "del", store.ResolverInterface)
	said, err = p.names(t.Context())
	if _, gone := netlink.LinkByName(probePort); err != nil || said != "the kernel has what the resolver needs" || gone == nil {
		t.Errorf("without one: %q, %v; the probe: %v", said, err, gone)
	}
}
