package integration

import (
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"sluice/integration/lab"
	"sluice/store"
)

// sum is frames and their bytes.
type sum struct{ packets, bytes int64 }

func (s sum) plus(o sum) sum  { return sum{s.packets + o.packets, s.bytes + o.bytes} }
func (s sum) minus(o sum) sum { return sum{s.packets - o.packets, s.bytes - o.bytes} }

func (s sum) String() string { return fmt.Sprintf("%d packets (%d bytes)", s.packets, s.bytes) }

// wires are what the interfaces of a tenant's containers sent and got, as their kernels say.
type wires struct{ sent, got sum }

// told is what Sluice says of one tenant.
type told struct {
	out, in map[string]sum   // by scope
	drops   map[string]int64 // packets, by reason
}

func (t told) allOut() sum { return total(t.out) }

func (t told) allIn() sum { return total(t.in) }

// inside is what passed inside in a direction.
func (t told) inside(direction string) sum {
	return map[string]map[string]sum{"out": t.out, "in": t.in}[direction]["internal"]
}

// underway is how much more was counted out than in of what passed inside.
func (t told) underway() sum { return t.inside("out").minus(t.inside("in")) }

// late is how many packets gateway hosts refused: what came to them by tunnel was counted out before, and what came from
// outside no container sent.
func (t told) late() int64 {
	return t.drops["infrastructure"] + t.drops["no-connection"] + t.drops["connection-limit"]
}

// refusedAll is how many packets were refused.
func (t told) refusedAll() (n int64) {
	for _, of := range t.drops {
		n += of
	}
	return n
}

func total(by map[string]sum) (all sum) {
	for _, s := range by {
		all = all.plus(s)
	}
	return all
}

// String has what counted anything, in one order.
func (t told) String() string {
	var parts []string
	for _, of := range []struct {
		direction string
		by        map[string]sum
	}{{"out", t.out}, {"in", t.in}} {
		for _, scope := range slices.Sorted(maps.Keys(of.by)) {
			parts = append(parts, fmt.Sprintf("%s %s %v", of.direction, scope, of.by[scope]))
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(t.drops)) {
		parts = append(parts, fmt.Sprintf("%s %d", reason, t.drops[reason]))
	}
	return strings.Join(parts, ", ")
}

var (
	sample = regexp.MustCompile(`(?m)^(sluice_tenant_(?:bytes|packets|drops)_total)\{([^}]*)\} (\S+)$`)
	label  = regexp.MustCompile(`(\w+)="([^"]*)"`)
)

// toldOf is what /metrics says of a tenant now.
func toldOf(t *testing.T, st lab.Status, tenant string) told {
	t.Helper()
	says := told{map[string]sum{}, map[string]sum{}, map[string]int64{}}
	for _, m := range sample.FindAllStringSubmatch(scraped(t, st), -1) {
		labels := map[string]string{}
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			labels[l[1]] = l[2]
		}
		value, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			t.Fatalf("/metrics: %q: %v", m[0], err)
		}
		if labels["tenant"] == tenant {
			says.take(m[1], labels, int64(value))
		}
	}
	return says
}

func (t told) take(name string, labels map[string]string, value int64) {
	if name == "sluice_tenant_drops_total" {
		t.drops[labels["reason"]] += value
		return
	}
	by := map[string]map[string]sum{"out": t.out, "in": t.in}[labels["direction"]]
	is := by[labels["scope"]]
	if name == "sluice_tenant_bytes_total" {
		is.bytes += value
	} else {
		is.packets += value
	}
	by[labels["scope"]] = is
}

// refusedBytes are the bytes of what was refused, which only the checkpoints in etcd tell.
func refusedBytes(t *testing.T, st lab.Status, tenant uint32) (n int64) {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{st.Etcd}, Context: t.Context(), Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got, err := c.Get(t.Context(), store.Under(store.KindStatusCounters), clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range got.Kvs {
		var saved store.StatusCounters
		if err := json.Unmarshal(kv.Value, &saved); err != nil {
			t.Fatalf("%s: %v", kv.Key, err)
		}
		for _, counter := range saved.Counters {
			if counter.Tenant == tenant && counter.Reason != "" {
				n += int64(counter.Bytes + counter.LastBytes)
			}
		}
	}
	return n
}

// fell says which sums are less than they were.
func (t told) fell(was told) (which []string) {
	for _, of := range []struct {
		direction string
		is, was   map[string]sum
	}{{"out", t.out, was.out}, {"in", t.in, was.in}} {
		for scope, before := range of.was {
			if now := of.is[scope]; now.packets < before.packets || now.bytes < before.bytes {
				which = append(which, fmt.Sprintf("%s %s from %v to %v", of.direction, scope, before, now))
			}
		}
	}
	for reason, before := range was.drops {
		if now := t.drops[reason]; now < before {
			which = append(which, fmt.Sprintf("drops %s from %d to %d", reason, before, now))
		}
	}
	return which
}

// link is an interface with its counters, as ip -j -s link shows it.
type link struct {
	Name  string `json:"ifname"`
	Stats struct {
		RX struct{ Packets, Bytes, Dropped int64 } `json:"rx"`
		TX struct{ Packets, Bytes, Dropped int64 } `json:"tx"`
	} `json:"stats64"`
}

// linksIn are the interfaces of a namespace.
func linksIn(t *testing.T, ns string) (links []link) {
	t.Helper()
	out, err := exec.Command("ip", "-n", ns, "-j", "-s", "link", "show").Output()
	if err == nil {
		err = json.Unmarshal(out, &links)
	}
	if err != nil {
		t.Fatalf("interfaces of %s: %v", ns, err)
	}
	return links
}

// wiresOf are the counters of a container's interface.
func wiresOf(t *testing.T, c lab.Container) wires {
	t.Helper()
	for _, l := range linksIn(t, c.NetNS) {
		if l.Name == c.Iface {
			return wires{sum{l.Stats.TX.Packets, l.Stats.TX.Bytes}, sum{l.Stats.RX.Packets, l.Stats.RX.Bytes}}
		}
	}
	t.Fatalf("container %s has no interface %s", c.Name, c.Iface)
	return wires{}
}

var socketDrops = regexp.MustCompile(`(?m)^p_\S+ .*?:(\S+)\s.*skmem:\([^)]*,d(\d+)\)`)

// datapathDrops are packets that a datapath dropped of itself, and not by a flow: such as while a link of the host comes or goes, and the switch
// looks anew for the way of its tunnels.
var datapathDrops = regexp.MustCompile(`(?m)^(datapath_drop_\w+) .* total: (\d+)`)

// lostBy are the packets that the interfaces of a host dropped, by interface: those that its kernel had no room for, and
// those that its switch was too slow to take. What its datapath dropped stands under the name of the switch's counter.
func lostBy(t *testing.T, h lab.Host) map[string]int64 {
	t.Helper()
	lost := map[string]int64{}
	for _, l := range linksIn(t, h.NetNS) {
		lost[l.Name] += l.Stats.RX.Dropped + l.Stats.TX.Dropped
	}
	coverage, err := h.Switch().AppCtl(t.Context(), "coverage/show")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range slices.Concat(socketDrops.FindAllStringSubmatch(inHost(t, h.Name, "ss", "--packet", "--memory", "--numeric", "--oneline"), -1),
		datapathDrops.FindAllStringSubmatch(coverage, -1)) {
		n, err := strconv.ParseInt(m[2], 10, 64)
		if err != nil {
			t.Fatalf("%s: %q: %v", h.Name, m[0], err)
		}
		lost[m[1]] += n
	}
	delete(lost, "datapath_drop_meter") // what meters drop is counted as such
	maps.DeleteFunc(lost, func(_ string, n int64) bool { return n == 0 })
	return lost
}
