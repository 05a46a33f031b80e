package bench

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// megaflows are what the datapaths of a pair's hosts made of traffic: the largest of each figure.
type megaflows struct {
	flows   int     // of one datapath
	masks   int     // different ones of the flows of one port: a packet is looked up in each until one has it
	lookups float64 // of masks, for each packet that is in no cache of exact matches
}

func (m *megaflows) facts(whose string) []Fact {
	return []Fact{
		{Name: "megaflow masks of one port, " + whose, Value: float64(m.masks)},
		{Name: "masks looked up by a packet outside the exact-match cache, " + whose, Value: m.lookups},
		{Name: "megaflows of one host, " + whose, Value: float64(m.flows)},
	}
}

// forget drops what the datapaths made of earlier traffic. It asks ovs-vswitchd, which keeps a note of each: what dpctl/del-flows takes
// away behind its back is not made anew while the note stands, and each packet goes by the slow path.
func (s *packetsRun) forget(ctx context.Context) error {
	for _, h := range s.Hosts[:hostCentre] {
		for _, command := range []string{"revalidator/purge", "dpif-netdev/pmd-stats-clear"} {
			if _, err := h.Switch().AppCtl(ctx, command); err != nil {
				return err
			}
		}
	}
	return nil
}

var lookupsPerHit = regexp.MustCompile(`avg\. subtable lookups per megaflow hit: ([0-9.]+)`)

// look reads what there is now.
func (s *packetsRun) look(ctx context.Context) (*megaflows, error) {
	m := &megaflows{}
	for _, h := range s.Hosts[:hostCentre] {
		dump, err := h.Switch().AppCtl(ctx, "dpctl/dump-flows", "-m")
		if err != nil {
			return nil, err
		}
		flows, masks := countMasks(dump)
		m.flows, m.masks = max(m.flows, flows), max(m.masks, masks)
		stats, err := h.Switch().AppCtl(ctx, "dpif-netdev/pmd-stats-show")
		if err != nil {
			return nil, err
		}
		found := lookupsPerHit.FindStringSubmatch(stats)
		if found == nil {
			return nil, fmt.Errorf("host %s tells no lookups of subtables:\n%s", h.Name, stats)
		}
		lookups, err := strconv.ParseFloat(found[1], 64)
		if err != nil {
			return nil, err
		}
		m.lookups = max(m.lookups, lookups)
	}
	return m, nil
}

var (
	inPort = regexp.MustCompile(`in_port\([^)]*\)`)
	// field is a name with a value, and perhaps a mask behind a slash.
	field = regexp.MustCompile(`[a-z_]+(=[^=(),]+|\([^=(),]+\))`)
)

// countMasks counts the flows of a datapath as dpctl/dump-flows -m writes them, and the masks of the
// port that has most.
func countMasks(dump string) (flows, most int) {
	of := map[string]map[string]bool{}
	for line := range strings.Lines(dump) {
		_, match, there := strings.Cut(line, ", ")
		match, _, rest := strings.Cut(match, ", packets:")
		port := inPort.FindString(match)
		if !there || !rest || port == "" {
			continue
		}
		flows++
		if of[port] == nil {
			of[port] = map[string]bool{}
		}
		of[port][maskOf(match)] = true
		most = max(most, len(of[port]))
	}
	return flows, most
}

// maskOf leaves of a match what it looks at, and not what it wants to find there. Fields of which
// no bit is matched go.
func maskOf(match string) string {
	return field.ReplaceAllStringFunc(match, func(f string) string {
		value := strings.IndexAny(f, "=(") + 1
		_, mask, partly := strings.Cut(f[value:], "/")
		switch {
		case !partly:
			return f[:value] + "all"
		case strings.Trim(mask, "0x:.)") == "":
			return ""
		}
		return f[:value] + mask
	})
}
