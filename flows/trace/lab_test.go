package trace

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	of "sluice/datapath/openflow"
	"sluice/flows"
	"sluice/store"
)

// lab is three hosts with the containers of two tenants, whose networks overlap: alice's web-1 and db-1 on
// h1, web-2 on h2; bob's web-9 on h2 and b-3 on h3. Alice leaves by h1, bob by h3; carol has no gateway.
type lab struct {
	*testing.T
	state   *store.State
	by      map[string]*store.Item[store.Port]
	foreign map[string][]of.Flow // of each host, that nobody of ours wrote
	away    map[string]error     // hosts whose tables are not known
	asked   map[string]int       // how often the tables of a host were asked for
}

func newLab(t *testing.T) *lab {
	l := &lab{T: t, state: store.NewState(), by: map[string]*store.Item[store.Port]{}, foreign: map[string][]of.Flow{}, away: map[string]error{}, asked: map[string]int{}}
	for i, h := range []string{"h1", "h2", "h3"} {
		l.put(store.HostKey(h), &store.Host{VTEPs: []netip.Addr{netip.AddrFrom4([4]byte{172, 30, 0, byte(i + 1)})},
			Infrastructure: []netip.Prefix{netip.MustParsePrefix("172.30.0.0/24")}})
	}
	l.tenant("alice", 7, "h1")
	l.tenant("bob", 9, "h3")
	l.tenant("carol", 11, "")
	l.network("alice", "default", 7, store.SegmentationTunnel, "10.0.0.0/24", "fd00::/64")
	l.network("alice", "db", 8, store.SegmentationTunnel, "10.0.1.0/24")
	l.network("bob", "default", 9, store.SegmentationVLAN, "10.0.0.0/24", "10.7.0.0/24")
	l.network("carol", "default", 11, store.SegmentationTunnel, "10.0.0.0/24")
	l.port("h1", "alice", "default", "web-1", "10.0.0.2", "fd00::2")
	l.port("h2", "alice", "default", "web-2", "10.0.0.7", "fd00::7")
	l.port("h1", "alice", "db", "db-1", "10.0.1.2")
	l.port("h2", "alice", "db", "web-2", "10.0.1.7")
	l.port("h2", "bob", "default", "web-9", "10.0.0.9")
	l.port("h3", "bob", "default", "b-3", "10.7.0.3")
	l.port("h3", "carol", "default", "c-1", "10.0.0.2")
	return l
}

func (l *lab) put(key store.Key, o store.Object) {
	r := l.state.Revision() + 1
	l.state.Apply(store.Batch{Revision: r, Events: []store.Event{{Key: key, Object: o, Created: r, Modified: r}}})
}

func (l *lab) tenant(name string, number uint32, gateway string) {
	l.put(store.TenantKey(name), &store.Tenant{Number: number})
	if gateway != "" {
		l.put(store.GatewayKey(name), &store.Gateway{Active: gateway})
	}
}

func (l *lab) network(tenant, name string, number uint32, how store.Segmentation, subnets ...string) {
	n := &store.Network{Number: number, Segmentation: how, Segment: number, Flood: store.FloodAuto}
	for _, text := range subnets {
		p := netip.MustParsePrefix(text)
		n.Subnets = append(n.Subnets, store.Subnet{Prefix: p, Gateway: p.Addr().Next()})
	}
	l.put(store.NetworkKey(tenant, name), n)
}

// port attaches a container whose MAC ends in its number.
func (l *lab) port(host, tenant, network, name string, addresses ...string) {
	key := store.PortKey(host, tenant, network, name)
	number := uint32(len(l.by) + 1)
	p := &store.Port{Number: number, MAC: store.MAC{2, 0, 0, 0, 0, byte(number)}, Interface: fmt.Sprintf("sl-%d", number)}
	for _, a := range addresses {
		ip := netip.MustParseAddr(a)
		p.Addresses = append(p.Addresses, netip.PrefixFrom(ip, ip.BitLen()*3/4))
	}
	l.put(key, p)
	l.by[tenant+"/"+network+"/"+name] = l.state.Port(key)
}

const (
	tunnelPort  = 100
	gatewayPort = 200
)

// tables are what a host's switch holds: the desired flows, and those of others.
func (l *lab) tables(host string) (Tables, error) {
	l.asked[host]++
	if err := l.away[host]; err != nil {
		return Tables{}, err
	}
	ports := map[string]uint32{store.TunnelInterface: tunnelPort, store.GatewayInterface: gatewayPort}
	for _, p := range l.by {
		if p.Key.Host == host {
			ports[p.Value.Interface] = p.Value.Number
		}
	}
	list, problems := flows.Desired(l.state, flows.Switch{Host: host, OFPort: ports})
	for _, p := range problems {
		l.Errorf("host %s: %s: %s", host, p.Object, p.Text)
	}
	return Tables{Flows: append(list, l.foreign[host]...), Ports: ports}, nil
}

// inject adds a flow that nobody of ours wrote.
func (l *lab) inject(host, text string) {
	l.Helper()
	f, err := of.ParseFlow(text)
	if err != nil {
		l.Fatal(err)
	}
	l.foreign[host] = append(l.foreign[host], f)
}

// all sees every tenant, and what is the cluster's own; onlyAlice sees hers.
func all(string) bool { return true }

func onlyAlice(tenant string) bool { return tenant == "alice" }

// ask is the answer to a question, as somebody sees it.
func (l *lab) ask(sees func(string) bool, q Question) Answer {
	l.Helper()
	t, err := Ask(l.state, sees, q)
	if err != nil {
		l.Fatalf("%+v: %v", q, err)
	}
	t.Run(l.tables)
	return t.Answer(l.state)
}

var errAway = errors.New("its switch has no session with controller c1")
