package hostagent

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"sync"
	"time"

	"sluice/store"
)

const (
	peerInterval    = 15 * time.Second       // how soon a restart of the switch is noticed
	refreshInterval = 5 * time.Minute        // how often known hosts are resolved again
	restInterval    = 500 * time.Millisecond // between two tries, while many hosts register
	unknownInterval = time.Second            // until the next try, where the last one read no hosts
)

// tunnelPeers keeps the underlay's MAC addresses of all peers known, since the switch drops
// the first packet to a peer that it has to resolve. A peer that is down is no failure.
type tunnelPeers struct {
	o     Options
	store Store

	mu       sync.Mutex
	pid      string                   // of the ovs-vswitchd that was told
	resolved map[netip.Addr]time.Time // when each tunnel address was last told to the switch
	count    int                      // registered hosts whose tunnel address is resolved
	at       store.Revision           // of the hosts that the last try has done; 0: none
}

func newTunnelPeers(o Options) *tunnelPeers {
	return &tunnelPeers{o: o, store: o.Store, resolved: make(map[netip.Addr]time.Time)}
}

// userspace reports whether the switch has a table of neighbours of its own: the kernel's
// datapath uses the kernel's.
func (p *tunnelPeers) userspace() bool { return p.o.DatapathType == "netdev" }

// is says when each peer was told to the switch that runs now.
func (p *tunnelPeers) is(context.Context) (map[netip.Addr]time.Time, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.userspace() {
		pid, err := switchPID(p.o.RunDir)
		if err != nil {
			return nil, err
		}
		if pid != p.pid {
			clear(p.resolved)
			p.pid = pid
		}
	}
	return maps.Clone(p.resolved), nil
}

// otherHosts are the tunnel addresses of the other hosts at a revision.
type otherHosts struct {
	vteps []netip.Addr
	at    store.Revision
}

func (p *tunnelPeers) should(ctx context.Context) (otherHosts, error) {
	hosts, at, err := p.store.List(ctx, store.KindHost)
	if err != nil {
		return otherHosts{}, fmt.Errorf("list hosts: %w", err)
	}
	return otherHosts{peersOf(hosts, p.o.VTEP), at}, nil
}

// peersOf are the tunnel addresses of all hosts but the one that has the address own.
func peersOf(hosts []store.Event, own netip.Addr) []netip.Addr {
	var vteps []netip.Addr
	for _, e := range hosts {
		if vtep := e.Object.(*store.Host).VTEP(); vtep.IsValid() && vtep != own {
			vteps = append(vteps, vtep)
		}
	}
	return vteps
}

// makeSo resolves the peers that are new, or were resolved long ago.
func (p *tunnelPeers) makeSo(ctx context.Context, should otherHosts, is map[netip.Addr]time.Time) error {
	answered, err := resolveAll(ctx, due(should.vteps, is, time.Now()))
	if err != nil {
		return err
	}
	if p.userspace() && len(answered) > 0 {
		if err := tellSwitch(ctx, p.o.RunDir, answered); err != nil {
			return err
		}
	}
	p.note(should, answered)
	return nil
}

// due are the tunnel addresses that are new, or were resolved long ago.
func due(vteps []netip.Addr, resolved map[netip.Addr]time.Time, now time.Time) []netip.Addr {
	var all []netip.Addr
	for _, vtep := range vteps {
		if now.Sub(resolved[vtep]) > refreshInterval {
			all = append(all, vtep)
		}
	}
	return all
}

func (p *tunnelPeers) note(hosts otherHosts, answered map[netip.Addr]neighbour) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for peer := range answered {
		p.resolved[peer] = time.Now()
	}
	p.count, p.at = 0, hosts.at
	for _, vtep := range hosts.vteps {
		if _, ok := p.resolved[vtep]; ok {
			p.count++
		}
	}
}

// counted is how many registered hosts' tunnel addresses are resolved.
func (p *tunnelPeers) counted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

// tellSwitch enters neighbours into the userspace datapath's own table.
func tellSwitch(ctx context.Context, runDir string, all map[netip.Addr]neighbour) error {
	c, err := dialSwitch(ctx, runDir)
	if err != nil {
		return err
	}
	defer c.close()
	for _, n := range all {
		if err := c.call("tnl/neigh/set", n.device, n.addr.String(), n.mac.String()); err != nil {
			return fmt.Errorf("tell the switch of %s: %w", n.addr, err)
		}
	}
	return nil
}

// wait is the keeper's rhythm: it returns when the hosts are others than the last try saw, so
// that a new host is resolved before it sends anything, and after peerInterval at the latest.
func (p *tunnelPeers) wait(ctx context.Context) {
	rest := time.After(restInterval)
	if at := p.takeRevision(); at > 0 {
		await(ctx, peerInterval, at, p.store.HostsChanged)
	} else {
		pause(ctx, unknownInterval)
	}
	<-rest
}

// takeRevision is the revision of the hosts that the last try has done; 0 where it failed.
func (p *tunnelPeers) takeRevision() store.Revision {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.at
	p.at = 0
	return at
}

// await returns once something was written after a revision, or a time has passed.
func await(ctx context.Context, limit time.Duration, at store.Revision, changed func(context.Context, store.Revision) <-chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	<-changed(ctx, at)
}

// awaitRested is await that returns no sooner than after a rest, unless ctx ends.
func awaitRested(ctx context.Context, rest, limit time.Duration, at store.Revision, changed func(context.Context, store.Revision) <-chan struct{}) {
	rested := time.After(rest)
	await(ctx, limit, at, changed)
	select {
	case <-rested:
	case <-ctx.Done():
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
