package hostagent

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sync/errgroup"

	"sluice/hostagent/api"
	"sluice/hostagent/resolver"
	"sluice/store"
	"sluice/store/etcd"
)

const (
	// ownTimeout bounds the wait for this host's flows; past it an attach fails.
	ownTimeout = 15 * time.Second
	// allTimeout bounds the wait for the other hosts; past it an attach warns.
	allTimeout = 2 * time.Second
	// undoTimeout bounds the removal of a failed attach; past it the mend loop goes on.
	undoTimeout = 10 * time.Second
)

// attachment is one attach under way.
type attachment struct {
	req     api.AttachRequest
	uid     string
	key     store.Key
	spec    store.PortSpec
	tenant  resolver.Asker
	network *store.Network
	mtu     int
	routes  []route // nil: default routes
	ns      netns.NsHandle
	port    store.Item[store.Port]
	// moved: the port came from another host, as it is.
	moved bool
	// undecided: etcd did not say whether it made the port.
	undecided bool
	result    api.Attachment
}

// undecided reports whether a write that failed so may have happened, or may happen yet.
func undecided(err error) bool {
	return errors.Is(err, store.ErrUnavailable) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// Attach makes a port: in etcd, as a veth pair into the container's namespace, and in the
// switch. It returns when this host's switch has the port's flows, with a warning for
// each other host that lags. Whatever fails, and also when ctx ends, nothing is left.
func (a *Agent) Attach(ctx context.Context, r api.AttachRequest) (api.Attachment, error) {
	at, err := a.prepare(ctx, r)
	if err != nil {
		return api.Attachment{}, err
	}
	defer at.ns.Close()
	name := at.key.NetworkName().String() + "/" + at.key.Name
	if err := a.journal.begin(at.intent()); err != nil {
		return api.Attachment{}, fmt.Errorf("attach %s: %w", name, err)
	}
	a.o.reached(stepIntent)
	if err := a.make(ctx, at); err != nil {
		return api.Attachment{}, a.giveUp(ctx, at, fmt.Errorf("attach %s: %w", name, err))
	}
	a.o.reached(stepRealized)
	a.announce(ctx, at)
	a.warnBehind(ctx, at)
	a.announce(ctx, at) // again: now other hosts know the way to it
	a.o.reached(stepOthers)
	if at.req.HandOver {
		if err := handOver(at.ns, at.req.IfName); err != nil {
			return api.Attachment{}, a.giveUp(ctx, at, fmt.Errorf("attach %s: %w", name, err))
		}
	}
	// Last before the answer: an agent that is killed earlier undoes the attach when it is back,
	// for nobody was told that it succeeded.
	if err = ctx.Err(); err == nil {
		err = a.journal.done(at.uid)
	}
	if err != nil {
		return api.Attachment{}, a.giveUp(ctx, at, fmt.Errorf("attach %s: %w", name, err))
	}
	a.o.reached(stepAttached)
	a.log.Info("attached", "tenant", at.key.Tenant, "network", at.key.Network, "port", at.key.Name,
		"rev", at.port.Created, "interface", at.port.Value.Interface)
	return at.result, nil
}

func (at *attachment) intent() intent {
	return intent{UID: at.uid, Tenant: at.key.Tenant, Network: at.key.Network, Name: at.key.Name, Moved: at.moved}
}

// prepare checks the request and reads its network; it changes nothing. The caller closes ns.
func (a *Agent) prepare(ctx context.Context, r api.AttachRequest) (*attachment, error) {
	if err := defaults(&r); err != nil {
		return nil, err
	}
	registration, err := a.awaitReady(ctx)
	if err != nil {
		return nil, err
	}
	at := &attachment{req: r, uid: newUID(), key: store.PortKey(a.o.Host, r.Tenant, r.Network, r.Name)}
	at.spec = store.PortSpec{
		Host: a.o.Host, HostCreated: registration.Created, HostLease: int64(registration.Lease.ID), UID: at.uid,
		Tenant: r.Tenant, Network: r.Network, Name: r.Name, Reserved: r.Reserved,
		ContainerID: r.ContainerID, Runtime: r.Runtime, Labels: r.Labels, Sticky: r.Sticky, Publish: publishedBy(r),
		Limits: limitsOf(r),
	}
	if err := addresses(r, &at.spec); err != nil {
		return nil, err
	}
	if err := a.readNetwork(ctx, at); err != nil {
		return nil, err
	}
	if at.mtu, err = mtuFor(r.MTU, at.mtu); err != nil {
		return nil, err
	}
	if at.routes, err = routes(r); err != nil {
		return nil, err
	}
	if err := a.arrived(ctx, at); err != nil {
		return nil, err
	}
	if err := a.published.refuse(ctx, at.spec); err != nil {
		return nil, fmt.Errorf("attach %s/%s: %w", at.key.NetworkName(), at.key.Name, err)
	}
	if err := a.awaitTurn(ctx, at); err != nil {
		return nil, err
	}
	if r.HandOver {
		at.req.IfName = api.HandedEnd(portInterface(at.uid))
		at.ns, err = newAnteroom()
		return at, err
	}
	at.ns, err = openNamespace(r.NetNS)
	return at, err
}

// An attach gives a host that is not ready readyPatience, and looks every readyLook: after an
// outage of etcd the host may be about to be, and its next try a few seconds away.
const (
	readyPatience = 5 * time.Second
	readyLook     = 100 * time.Millisecond
)

// awaitReady is the host's registration once ports can be made.
func (a *Agent) awaitReady(ctx context.Context) (*etcd.Registration, error) {
	return a.awaitOther(ctx, 0)
}

// awaitOther is awaitReady of a registration that has not the lease.
func (a *Agent) awaitOther(ctx context.Context, lease int64) (*etcd.Registration, error) {
	for until := time.Now().Add(readyPatience); ; {
		if r := a.registration.ready(); r != nil && int64(r.Lease.ID) != lease {
			return r, nil
		}
		if time.Now().After(until) || ctx.Err() != nil {
			return nil, a.notReady()
		}
		a.mender.wake()
		select {
		case <-ctx.Done():
		case <-time.After(readyLook):
		}
	}
}

func (a *Agent) readNetwork(ctx context.Context, at *attachment) error {
	o, rev, err := a.o.Store.Get(ctx, store.NetworkKey(at.req.Tenant, at.req.Network))
	if err != nil {
		return fmt.Errorf("read network %s: %w", at.key.NetworkName(), err)
	}
	if rev == 0 {
		return api.NewProblem(http.StatusNotFound, "network %s does not exist: see sluice network list", at.key.NetworkName())
	}
	at.network = o.(*store.Network)
	at.mtu = a.underlay.networkMTU(at.network)
	return nil
}

// awaitTurn returns when the tenant may make one more port here.
func (a *Agent) awaitTurn(ctx context.Context, at *attachment) error {
	tenant := at.req.Tenant
	o, rev, err := a.o.Store.Get(ctx, store.TenantKey(tenant))
	switch {
	case err != nil:
		return fmt.Errorf("read tenant %s: %w", tenant, err)
	case rev == 0:
		return api.NewProblem(http.StatusNotFound, "tenant %s does not exist: see sluice tenant list", tenant)
	}
	t := o.(*store.Tenant)
	at.tenant = resolver.Asker{Number: t.Number, Limits: t.Limits}
	if err = a.pace.take(ctx, tenant, t.Limits); api.IsTooMany(err) {
		a.tally.newPort(at.tenant.Number)
	}
	return err
}

// notReady says why no port can be made now.
func (a *Agent) notReady() error {
	if held := a.serving.held(); held != "" {
		return api.NewProblem(http.StatusServiceUnavailable, "host %s is not ready: %s", a.o.Host, held)
	}
	why := "the agent is still starting"
	if problems := a.problems.brief(); problems != "" {
		why = problems
	}
	return api.NewProblem(http.StatusServiceUnavailable, "host %s is not ready: %s", a.o.Host, why)
}

// newUID is a port's random id: 12 characters of lower-case base32.
func newUID() string { return strings.ToLower(rand.Text()[:12]) }

func portInterface(uid string) string { return interfacePrefix + uid }

// make does all that an attach is, and leaves it to the caller to undo.
func (a *Agent) make(ctx context.Context, at *attachment) error {
	var both errgroup.Group // neither cancels the other: a write cut short may still land
	both.Go(func() error { return a.then(stepPort, a.createPort(ctx, at)) })
	both.Go(func() error { return a.then(stepVeth, createVeth(at.uid, at.req.IfName, at.mtu, at.ns)) })
	if err := both.Wait(); err != nil {
		return err
	}
	g, stage := errgroup.WithContext(ctx)
	g.Go(func() error { return a.then(stepPlugged, a.ports.plugIn(stage, at.key, at.port.Value)) })
	g.Go(func() error { return a.then(stepFurnished, a.furnish(at)) })
	g.Go(func() error {
		return a.then(stepRecord, a.records.keep(recordOf(at.key, at.port.Value, at.port.Created)))
	})
	g.Go(func() error { a.resolving.open(at.req.Tenant, at.tenant); return nil })
	if err := g.Wait(); err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, a.patience)
	defer cancel()
	return a.o.Store.WaitHost(wait, a.o.Host, at.port.Created, at.key)
}

// then tells a step that succeeded.
func (a *Agent) then(s step, err error) error {
	if err == nil {
		a.o.reached(s)
	}
	return err
}

// createPort makes the port in etcd. A port of the name whose container vanished from this host, as when
// the machine started anew, makes room. Where the agent lost its registration meanwhile, it asks under the next one.
func (a *Agent) createPort(ctx context.Context, at *attachment) (err error) {
	at.port, err = a.o.Store.CreatePort(ctx, at.spec)
	if errors.Is(err, store.ErrLeaseLost) {
		if next, late := a.awaitOther(ctx, at.spec.HostLease); late == nil && next.Created == at.spec.HostCreated {
			at.spec.HostLease = int64(next.Lease.ID)
			at.port, err = a.o.Store.CreatePort(ctx, at.spec)
		}
	}
	if errors.Is(err, store.ErrExists) && a.ports.removeDead(ctx, at.key, at.spec.HostCreated) {
		at.port, err = a.o.Store.CreatePort(ctx, at.spec)
	}
	at.undecided = undecided(err)
	if errors.Is(err, store.ErrLimit) {
		a.tally.port(at.tenant.Number)
	}
	return err
}

// furnish sets the container's end up and notes the answer.
func (a *Agent) furnish(at *attachment) error {
	p := at.port.Value
	end := containerEnd{
		name: at.req.IfName, mac: p.MAC, addresses: p.Addresses, gateways: gatewaysFor(at.network, p.Addresses), routes: at.routes, handOver: at.req.HandOver,
		plainChecksums: a.o.DatapathType == "netdev",
	}
	warnings, err := end.setUp(at.ns)
	if err != nil {
		return err
	}
	at.result = a.attachmentOf(at.key, at.port.Created, p, at.network)
	at.result.IfName, at.result.NetNS, at.result.Warnings = at.req.IfName, at.req.NetNS, warnings
	at.result.MTU, at.result.Routes = at.mtu, at.req.Routes
	return nil
}

// warnBehind waits a little for the other hosts and names those that lag.
func (a *Agent) warnBehind(ctx context.Context, at *attachment) {
	wait, cancel := context.WithTimeout(ctx, allTimeout)
	defer cancel()
	var behind []string
	hosts, err := a.concerned(wait, at.key.Tenant)
	if err == nil {
		behind, err = a.o.Store.WaitAll(wait, hosts, at.port.Created, at.key)
	}
	switch {
	case len(behind) > 0:
		at.result.Warnings = append(at.result.Warnings, "not yet realized on "+strings.Join(behind, ", "))
	case err != nil && !errors.Is(err, context.Canceled):
		at.result.Warnings = append(at.result.Warnings, fmt.Sprintf("other hosts' state is unknown: %v", err))
	}
}

// manyPorts is how many of a tenant's ports are looked at to learn its hosts.
const manyPorts = 2000

// concerned are the live hosts that have flows of a tenant, so that one which lags elsewhere
// costs no time; all live ones where the tenant is too large to look.
func (a *Agent) concerned(ctx context.Context, tenant string) ([]string, error) {
	hosts, all, err := a.o.Store.TenantHosts(ctx, tenant, manyPorts)
	if err != nil || !all {
		return a.alive.all(), err
	}
	return a.alive.among(hosts), nil
}

// giveUp undoes a failed attach, although ctx may have ended. What cannot be undone now is
// left to the mend loop. It returns why the attach failed.
func (a *Agent) giveUp(ctx context.Context, at *attachment, why error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	if err := a.ports.undo(ctx, at.intent(), at.spec.HostCreated); err != nil {
		a.journal.abandon(at.uid)
		a.mender.wake()
		return fmt.Errorf("%w (what was made will be removed later: %w)", why, err)
	}
	if at.undecided {
		a.journal.abandon(at.uid) // the port may still come to be: look again later
		return why
	}
	if err := a.journal.done(at.uid); err != nil {
		a.log.Error("failed attach stays in the journal", "port", at.key.Name, "err", err)
	}
	return why
}
