package chaos

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"time"

	"sluice/hostagent/api"
	"sluice/integration/lab"
	"sluice/store"
)

const (
	// requestLimit bounds one request of the workload: etcd may be away for longer.
	requestLimit = 20 * time.Second
	// firstPacketLimit is how long the first packet of a container may be on its way.
	firstPacketLimit = time.Second
	// maxContainers keeps the workload small beside the world.
	maxContainers = 12
)

// workload asks for tenants, networks and containers at random, one after another.
type workload struct {
	*run
	choose     *rand.Rand
	made       int      // numbers its names
	sent       uint64   // numbers its packets
	tenants    []string // its own, acknowledged
	networks   []string // TENANT/NETWORK, acknowledged
	containers []lab.Container
	doubts     []lab.Container // what may be attached though nobody was told
}

// settle withdraws what could not be withdrawn while everything was broken.
func (w *workload) settle(ctx context.Context) error {
	for _, c := range w.doubts {
		if err := lab.Detach(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

func newWorkload(r *run, choose *rand.Rand) *workload { return &workload{run: r, choose: choose} }

func (w *workload) work(ctx context.Context) error {
	requests := []func(context.Context) error{
		w.createTenant, w.deleteTenant, w.createNetwork, w.deleteNetwork, w.attach, w.attach, w.attach, w.detach, w.detach,
	}
	for pause(ctx, 50*time.Millisecond) {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestLimit)
		err := pick(w.choose, requests)(limited)
		cancel()
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (w *workload) name(what string) string {
	w.made++
	return fmt.Sprintf("%s%s%d", prefix, what, w.made)
}

// ask makes one request and notes in the ledger what it knows after it.
func (w *workload) ask(object string, want standing, request func() error) bool {
	w.ledger.note(object, unsure)
	w.history.keep("%s: to be %s", object, want)
	err := request()
	if err != nil {
		w.history.count("requests refused")
		w.history.keep("%s: not %s: %v", object, want, err)
		return false
	}
	w.ledger.note(object, want)
	w.history.keep("%s: %s", object, want)
	w.history.count("requests acknowledged")
	return true
}

func (w *workload) createTenant(ctx context.Context) error {
	name, segmentation := w.name("t"), pick(w.choose, []string{"tunnel", "vlan"})
	if w.ask("tenant "+name, made, func() error {
		_, err := w.world.run(ctx, "tenant", "create", name, "--subnet", "10.67.0.0/24", "--segmentation", segmentation)
		return err
	}) {
		w.tenants = append(w.tenants, name)
	}
	return nil
}

func (w *workload) deleteTenant(ctx context.Context) error {
	free := slices.DeleteFunc(slices.Clone(w.tenants), func(t string) bool { return w.used(t) })
	if len(free) == 0 {
		return nil
	}
	name := pick(w.choose, free)
	w.ask("tenant "+name, removed, func() error {
		_, err := w.world.run(ctx, "tenant", "delete", name)
		return err
	})
	w.tenants = slices.DeleteFunc(w.tenants, func(t string) bool { return t == name })
	return nil
}

// used reports whether a container is in a tenant, or in a network TENANT/NETWORK, or a network
// in a tenant.
func (w *workload) used(by string) bool {
	return slices.ContainsFunc(w.networks, func(n string) bool { return strings.HasPrefix(n, by+"/") }) || slices.ContainsFunc(w.containers, func(c lab.Container) bool {
		return c.Tenant == by || c.Tenant+"/"+c.Network == by
	})
}

func (w *workload) createNetwork(ctx context.Context) error {
	if len(w.tenants) == 0 {
		return nil
	}
	name := pick(w.choose, w.tenants) + "/" + w.name("n")
	subnet := fmt.Sprintf("10.%d.%d.0/24", 70+w.made/250%100, w.made%250)
	if w.ask("network "+name, made, func() error {
		_, err := w.world.run(ctx, "network", "create", name, "--subnet", subnet)
		return err
	}) {
		w.networks = append(w.networks, name)
	}
	return nil
}

func (w *workload) deleteNetwork(ctx context.Context) error {
	free := slices.DeleteFunc(slices.Clone(w.networks), func(n string) bool { return w.used(n) })
	if len(free) == 0 {
		return nil
	}
	name := pick(w.choose, free)
	w.ask("network "+name, removed, func() error {
		_, err := w.world.run(ctx, "network", "delete", name)
		return err
	})
	w.networks = slices.DeleteFunc(w.networks, func(n string) bool { return n == name })
	return nil
}

// attach makes a container in a network of its own or of the world's, and sees that the first
// packets of one in the world arrive.
func (w *workload) attach(ctx context.Context) error {
	if len(w.containers) >= maxContainers {
		return w.detach(ctx)
	}
	world := w.choose.IntN(len(tenants))
	where := append([]string{tenants[world].name, tenants[world].name}, slices.Concat(w.tenants, w.networks)...)
	tenant, network, _ := strings.Cut(pick(w.choose, where), "/")
	host, name := pick(w.choose, w.world.lab.Hosts).Name, w.name("p")
	var c lab.Container
	began := time.Now()
	if !w.ask("port "+name, made, func() (err error) {
		w.history.keep("port %s: on %s in %s", name, host, tenant)
		defer w.history.relinks(host)()
		c, err = lab.Run(ctx, lab.Request{Host: host, Tenant: tenant, Network: network, Name: name})
		return err
	}) {
		w.withdraw(ctx, lab.Container{Host: host, Tenant: tenant, Network: cmp.Or(network, api.DefaultNetwork), Name: name})
		return nil
	}
	w.containers = append(w.containers, c)
	w.history.count("containers attached")
	if err := w.hasFlows(ctx, c, began); err != nil {
		return err
	}
	if tenant == tenants[world].name {
		return w.firstPackets(ctx, c, uint16(world), began)
	}
	return w.traffic.watch(c.NetNS, stray, c.Name)
}

// withdraw detaches what may have been attached: an agent that was killed as it answered does not
// know that nobody heard it. A container runtime does so too.
func (w *workload) withdraw(ctx context.Context, c lab.Container) {
	for {
		if err := lab.Detach(ctx, c); err == nil {
			return
		}
		if !pause(ctx, 200*time.Millisecond) {
			w.doubts = append(w.doubts, c)
			return
		}
	}
}

// hasFlows reads the flows of a new container from its switch.
func (w *workload) hasFlows(ctx context.Context, c lab.Container, began time.Time) error {
	dump, err := w.world.host(c.Host).Switch().OFCtl(ctx, "dump-flows", store.BridgeName)
	if w.history.harmed(c.Host, c.Host, began) {
		return nil
	}
	if err != nil {
		return err
	}
	if !strings.Contains(dump, c.MAC) {
		return fmt.Errorf("container %s was attached to %s, whose switch has no flow of it", c.Name, c.Host)
	}
	return nil
}

// firstPackets sends one packet to each of the world's containers of the tenant: it arrives,
// unless a fault touched one of the two, or the attach warned of the other's host.
func (w *workload) firstPackets(ctx context.Context, c lab.Container, tenant uint16, began time.Time) error {
	if err := w.traffic.watch(c.NetNS, tenant, c.Name); err != nil {
		return err
	}
	conn, err := openSender(c.NetNS)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, a := range w.world.actors {
		warned := slices.ContainsFunc(c.Warnings, func(text string) bool { return strings.Contains(text, a.Host) })
		if a.tenant != tenant || warned {
			continue
		}
		arrived := w.deliver(ctx, conn, a, tenant)
		if !arrived && c.Host != a.Host { // its own attach changed the links of its host: see relinkLosses
			w.history.count("first packets sent again")
			arrived = w.deliver(ctx, conn, a, tenant)
		}
		if !arrived && !w.history.harmed(c.Host, a.Host, began) {
			return fmt.Errorf("container %s on %s was attached, and its first packet to %s on %s did not arrive", c.Name, c.Host, a.Name, a.Host)
		}
	}
	return nil
}

// deliver sends one packet to a container of the world, and reports whether it arrived.
func (w *workload) deliver(ctx context.Context, conn *net.UDPConn, to *actor, tenant uint16) bool {
	w.sent++
	s := stamp{tenant: tenant, from: stray, to: to.number, seq: w.sent}
	w.traffic.sendOne(conn, to.IPs[0], s)
	return w.traffic.awaitArrival(ctx, s)
}

func (w *workload) detach(ctx context.Context) error {
	if len(w.containers) == 0 {
		return nil
	}
	c := pick(w.choose, w.containers)
	if w.ask("port "+c.Name, removed, func() error {
		defer w.history.relinks(c.Host)()
		return lab.Remove(ctx, c.Name)
	}) {
		w.containers = slices.DeleteFunc(w.containers, func(other lab.Container) bool { return other.Name == c.Name })
	}
	return nil
}

// awaitArrival waits for one packet.
func (t *traffic) awaitArrival(ctx context.Context, s stamp) bool {
	ctx, cancel := context.WithTimeout(ctx, firstPacketLimit)
	defer cancel()
	for {
		t.mu.Lock()
		_, under := t.under[s]
		t.mu.Unlock()
		if !under {
			return true
		}
		if !pause(ctx, 5*time.Millisecond) {
			return false
		}
	}
}
