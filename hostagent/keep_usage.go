package hostagent

import (
	"context"
	"fmt"
	"slices"
	"time"

	"sluice/store"
	"sluice/store/etcd"
)

const (
	// usageInterval is how often what tenants use is read, and told at most.
	usageInterval = 15 * time.Second
	// usageRest is how long a small change waits to be told. One that changes more is told at once.
	usageRest = time.Minute
	// usageShare bounds the share of time that is spent on reading: one in so many parts.
	usageShare = 50
	// forgetInterval is how often tenants that are gone are looked for.
	forgetInterval = 10 * time.Minute
)

// usage keeps the cluster told of what tenants use of their limits on this host. Where nothing changes
// it writes nothing.
type usage struct {
	o              Options
	tenants        *tenants
	infrastructure *infrastructure
	registration   *registration
	tally          *tally
	resolving      *resolving
	web            *webEntry
	damped         func() []string // gateway hosts that this host's switch does not send to for a while
	every          time.Duration   // two readings are as far apart at least

	// What follows is the keeper's alone.
	told   store.Usage
	under  *etcd.Registration // under which it was told
	at     time.Time          // when
	forgot time.Time          // when tenants that are gone were looked for
	took   time.Duration      // the last reading
}

// is what the cluster was told last, also by an earlier agent.
func (u *usage) is(ctx context.Context) (store.Usage, error) {
	now := u.registration.current()
	if now == u.under {
		return u.told, nil
	}
	object, written, err := u.o.Store.Get(ctx, store.UsageKey(u.o.Host))
	if err != nil {
		return store.Usage{}, fmt.Errorf("read what was told of what tenants use here: %w", err)
	}
	told, there := object.(*store.Usage)
	if !there {
		told = &store.Usage{}
	}
	if err := u.goOn(ctx, told, written); err != nil {
		return store.Usage{}, err
	}
	if now != nil && written < now.Created { // under an earlier registration: it is to be told again
		told = &store.Usage{}
	}
	u.told, u.under, u.at = *told, now, time.Time{}
	return u.told, nil
}

// goOn has this agent count on from what another one of the host's name told, whose state directory is gone, perhaps with
// its machine. What was told of tenants that had their numbers before is not theirs.
func (u *usage) goOn(ctx context.Context, told *store.Usage, written store.Revision) error {
	if len(told.Tenants) == 0 {
		return nil
	}
	all, _, err := u.o.Store.List(ctx, store.KindTenant)
	if err != nil {
		return fmt.Errorf("list tenants: %w", err)
	}
	for _, e := range all {
		if e.Created <= written {
			number := e.Object.(*store.Tenant).Number
			u.tally.atLeast(number, told.Of(number))
		}
	}
	return nil
}

// should be what tenants use now. What was counted is on disk before it is told.
func (u *usage) should(ctx context.Context) (store.Usage, error) {
	began := time.Now()
	used := make(map[uint32]store.Used)
	if u.o.Gateway {
		if err := u.readGateway(ctx, used); err != nil {
			return store.Usage{}, err
		}
	}
	u.tally.questions(u.resolving.desks.Refused())
	u.tally.answers(u.web.entry.Answered())
	if err := u.forget(ctx); err != nil {
		return store.Usage{}, err
	}
	if err := u.tally.save(); err != nil {
		return store.Usage{}, err
	}
	u.tally.addTo(used)
	u.took = time.Since(began)
	usage := store.UsageOf(used)
	usage.Visits, usage.Damped = u.web.table.Visits(), u.damped()
	return usage, nil
}

// readGateway reads what a gateway host's switch and kernel know.
func (u *usage) readGateway(ctx context.Context, used map[uint32]store.Used) error {
	transit, tenants := u.infrastructure.known().transit(), u.tenants.known()
	if dropped, err := listRefused(ctx, transit); err == nil { // else there is no table: another keeper sees to it
		u.tally.listed(readLimits(u.o).numbers(dropped))
	}
	text, err := (zones{u.o, u.tenants}).ask(ctx, "dpctl/ct-get-limits")
	if err != nil {
		return err
	}
	kernel, err := kernelConnections(transit)
	if err != nil {
		return err
	}
	for number, n := range byNumber(tenants, parseZoneCounts(text)) {
		used[number] = store.Used{Connections: n}
	}
	for number, n := range byNumber(tenants, kernel) {
		all := used[number]
		all.KernelConnections = n
		used[number] = all
	}
	return nil
}

// forget forgets, from time to time, what was counted of tenants that are gone.
func (u *usage) forget(ctx context.Context) error {
	if u.tally.empty() || time.Since(u.forgot) < forgetInterval {
		return nil
	}
	all, _, err := u.o.Store.List(ctx, store.KindTenant)
	if err != nil {
		return fmt.Errorf("list tenants: %w", err)
	}
	there := make(map[uint32]bool, len(all))
	for _, e := range all {
		there[e.Object.(*store.Tenant).Number] = true
	}
	u.tally.forget(there)
	u.forgot = time.Now()
	return nil
}

func (u *usage) makeSo(ctx context.Context, should, is store.Usage) error {
	if u.under == nil || !worthTelling(should, is, time.Since(u.at)) {
		return nil
	}
	if err := u.under.TellUsage(ctx, should); err != nil {
		return err
	}
	u.told, u.at = should, time.Now()
	return nil
}

// worthTelling reports whether what is used differs enough from what was told so long ago.
func worthTelling(should, is store.Usage, ago time.Duration) bool {
	if !slices.Equal(should.Damped, is.Damped) {
		return true
	}
	before, after := byTenant(is), byTenant(should)
	for tenant := range after {
		if _, told := before[tenant]; !told {
			before[tenant] = store.Used{}
		}
	}
	differs := should.Omitted != is.Omitted || !slices.Equal(should.Visits, is.Visits)
	for tenant, used := range before {
		if muchChanged(after[tenant], used) {
			return true
		}
		differs = differs || after[tenant] != used
	}
	return differs && ago >= usageRest || len(should.Visits) > 0 && len(is.Visits) == 0
}

func byTenant(u store.Usage) map[uint32]store.Used {
	all := make(map[uint32]store.Used, len(u.Tenants))
	for _, t := range u.Tenants {
		all[t.Tenant] = t.Used
	}
	return all
}

// muchChanged reports whether one of a tenant's numbers moved far, or a limit refused something for
// the first time.
func muchChanged(after, before store.Used) bool {
	return moved(uint64(after.Connections), uint64(before.Connections)) ||
		moved(uint64(after.KernelConnections), uint64(before.KernelConnections)) ||
		more(after.KernelDrops, before.KernelDrops) ||
		more(after.PortsRefused, before.PortsRefused) ||
		more(after.NewPortsRefused, before.NewPortsRefused) ||
		more(after.QuestionsRefused, before.QuestionsRefused) ||
		more(after.Answers.Sum(), before.Answers.Sum())
}

// smallMove is by how much a number may move beside an eighth of what it was.
const smallMove = 8

func moved(after, before uint64) bool {
	return max(after, before)-min(after, before) > max(smallMove, before/8)
}

func more(after, before uint64) bool { return before == 0 && after > 0 || moved(after, before) }

// wait is the keeper's rhythm. Reading a full kernel's table takes a while, and has more rest then.
func (u *usage) wait(ctx context.Context) { pause(ctx, max(u.every, usageShare*u.took)) }
