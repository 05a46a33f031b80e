package hostagent

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"sluice/store"
	"sluice/store/etcd"
)

const (
	// emptiedInterval is how often the connections of tenants that drain here are counted.
	emptiedInterval = time.Second
	// fewConnections are read one by one, to tell those that are over from those that go on.
	fewConnections = 2000
	// readsAtOnce bounds the tenants whose connections are read in one round.
	readsAtOnce = 50
)

// emptied keeps the leader told of tenants that drain here and have no connection left.
type emptied struct {
	o            Options
	tenants      *tenants
	registration *registration

	told  map[string]uint64  // the keeper's alone
	under *etcd.Registration // under which it was told
	next  string             // the tenant whose turn it is to be read
}

// is what the leader was told last, also by an earlier agent.
func (e *emptied) is(ctx context.Context) (map[string]uint64, error) {
	now := e.registration.current()
	if now == e.under {
		return e.told, nil
	}
	object, _, err := e.o.Store.Get(ctx, store.EmptiedKey(e.o.Host))
	if err != nil {
		return nil, fmt.Errorf("read what was told of tenants that drained here: %w", err)
	}
	e.told, e.under = nil, now
	if told, there := object.(*store.Emptied); there {
		e.told = told.Tenants
	}
	return e.told, nil
}

// should be the tenants that have no connection left, with the epochs of their gateways. What was told of an epoch
// stays so: no host sends new connections here.
func (e *emptied) should(ctx context.Context) (map[string]uint64, error) {
	drains := e.tenants.drains()
	if len(drains) == 0 {
		return nil, nil
	}
	text, err := (zones{e.o, e.tenants}).ask(ctx, "dpctl/ct-get-limits")
	if err != nil {
		return nil, err
	}
	empty := make(map[string]uint64)
	for name, d := range drains {
		if e.told[name] == d.epoch && len(empty) < store.MaxEmptied {
			empty[name] = d.epoch
		}
	}
	for _, name := range e.due(drains, parseZoneCounts(text)) {
		over, err := e.allOver(ctx, drains[name].slot)
		if err != nil {
			return nil, err
		}
		if over && len(empty) < store.MaxEmptied {
			empty[name] = drains[name].epoch
		}
	}
	return empty, nil
}

// due are the tenants whose connections are read in this round, each in its turn. That a zone's count is 0 does not say that
// there are none: Open vSwitch leaves out those that are older than the zone's limit.
func (e *emptied) due(drains map[string]ending, counts map[uint32]int) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(drains)) {
		if d := drains[name]; e.told[name] != d.epoch && counts[d.slot] <= fewConnections {
			names = append(names, name)
		}
	}
	turn, _ := slices.BinarySearch(names, e.next)
	names = slices.Concat(names[turn:], names[:turn])
	if len(names) > readsAtOnce {
		e.next = names[readsAtOnce]
		names = names[:readsAtOnce]
	}
	return names
}

// allOver reports whether no connection of a tenant goes on in the switch.
func (e *emptied) allOver(ctx context.Context, slot uint32) (bool, error) {
	text, err := (zones{e.o, e.tenants}).ask(ctx, "dpctl/dump-conntrack", fmt.Sprintf("zone=%d", store.NATZone(slot)))
	if err != nil {
		return false, err
	}
	return countGoingOn(text) == 0, nil
}

// tcpOver are the states in which both ends of a connection of TCP have closed it, or one has reset it.
var tcpOver = regexp.MustCompile(`protoinfo=\(state=(TIME_WAIT|CLOSED|CLOSE)\b`)

// countGoingOn counts the connections of a dump that are not over.
func countGoingOn(dump string) (n int) {
	for line := range strings.Lines(dump) {
		if strings.Contains(line, "orig=(") && !tcpOver.MatchString(line) {
			n++
		}
	}
	return n
}

func (e *emptied) makeSo(ctx context.Context, should, is map[string]uint64) error {
	if e.under == nil || maps.Equal(should, is) {
		return nil
	}
	if err := e.under.TellEmptied(ctx, store.Emptied{Tenants: should}); err != nil {
		return err
	}
	e.told = should
	return nil
}

// wait is the keeper's rhythm.
func (e *emptied) wait(ctx context.Context) { pause(ctx, emptiedInterval) }
