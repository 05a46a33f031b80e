package hostagent

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"sluice/store"
)

// zones keep a limit of connections in the switch for each tenant that leaves by this host, in the
// tenant's own conntrack zone. Without one a tenant fills the table of all. The switch forgets
// limits when it restarts. A limit of a tenant that went stays: it harms nobody, and a later tenant
// of the zone brings its own.
type zones struct {
	o       Options
	tenants *tenants
}

// zoneLimits are limits of connections by zone.
type zoneLimits map[uint16]int

func (z zones) is(ctx context.Context) (zoneLimits, error) {
	text, err := z.ask(ctx, "dpctl/ct-get-limits")
	if err != nil {
		return nil, err
	}
	return parseZoneLimits(text), nil
}

func (z zones) should(context.Context) (zoneLimits, error) {
	return zoneLimitsOf(z.tenants.known(), kernelRoom()), nil
}

// zoneLimitsOf are the limits that the kernel keeps tenants to, so that what it would drop is
// refused, and counted, in the switch.
func zoneLimitsOf(tenants leavers, room int) zoneLimits {
	limits := make(zoneLimits, len(tenants))
	for slot, l := range tenants {
		limits[store.NATZone(slot)] = connectionsHere(l.Limits, room).all
	}
	return limits
}

// zonesAtOnce bounds how many limits one command sets.
const zonesAtOnce = 500

func (z zones) makeSo(ctx context.Context, should, is zoneLimits) error {
	for some := range slices.Chunk(changedLimits(should, is), zonesAtOnce) {
		if _, err := z.ask(ctx, "dpctl/ct-set-limits", some...); err != nil {
			return err
		}
	}
	return nil
}

// changedLimits are the limits that differ, as ct-set-limits takes them. None of them is 0: that
// would be no connection at all.
func changedLimits(should, is zoneLimits) []string {
	var changed []string
	for _, zone := range sortedNumbers(should) {
		if limit, set := is[zone]; !set || limit != should[zone] {
			changed = append(changed, fmt.Sprintf("zone=%d,limit=%d", zone, should[zone]))
		}
	}
	return changed
}

// sortedNumbers are the keys of a map, sorted.
func sortedNumbers[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// ask runs a command on this host's datapath.
func (z zones) ask(ctx context.Context, command string, params ...string) (string, error) {
	c, err := dialSwitch(ctx, z.o.RunDir)
	if err != nil {
		return "", err
	}
	defer c.close()
	return c.ask(command, append([]string{datapathName(z.o.DatapathType)}, params...)...)
}

// datapathName is how ovs-vswitchd calls the one datapath of a type that all bridges share.
func datapathName(kind string) string {
	if kind == "" {
		kind = "system"
	}
	return kind + "@ovs-" + kind
}

var zoneLimit = regexp.MustCompile(`(?m)^zone=(\d+),limit=(\d+)(?:,count=(\d+))?`)

// parseZoneLimits reads the limits that zones have of their own. The default limit is nobody's here:
// the userspace datapath keeps it to the sum of all zones without one.
func parseZoneLimits(text string) zoneLimits {
	limits := make(zoneLimits)
	for _, found := range zoneLimit.FindAllStringSubmatch(text, -1) {
		zone, err := strconv.ParseUint(found[1], 10, 16)
		limit, err2 := strconv.ParseUint(found[2], 10, 32)
		if err == nil && err2 == nil {
			limits[uint16(zone)] = int(limit)
		}
	}
	return limits
}

// parseZoneCounts reads how many connections each tenant has in its zone, by the tenant's slot here.
func parseZoneCounts(text string) map[uint32]int {
	counts := make(map[uint32]int)
	for _, found := range zoneLimit.FindAllStringSubmatch(text, -1) {
		zone, err := strconv.ParseUint(found[1], 10, 16)
		count, err2 := strconv.ParseUint(found[3], 10, 32)
		if slot := uint32(zone / 2); err == nil && err2 == nil && store.NATZone(slot) == uint16(zone) {
			counts[slot] = int(count)
		}
	}
	return counts
}
