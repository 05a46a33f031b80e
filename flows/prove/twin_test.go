package prove_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"sluice/flows"
	"sluice/flows/internal/worlds"
	"sluice/flows/prove"
	"sluice/store"

	of "sluice/datapath/openflow"
)

var twinSeed = flag.Uint64("twin.seed", 0, "change this one cluster alone")

// After changes of flows, of the state and of the switch's ports, what is proved slice by slice is proved as a whole: a part is
// never kinder. And where the flows are as they should be, the part is seldom in doubt.
func TestPartsAreNeverKinder(t *testing.T) {
	seeds := []uint64{rand.Uint64N(1 << 32)}
	for seed := range worldsProved() / 5 {
		seeds = append(seeds, seed)
	}
	if *twinSeed != 0 {
		seeds = []uint64{*twinSeed}
	}
	var count struct{ wholes, right, wrong, doubts int }
	for _, seed := range seeds {
		w := newTwin(seed)
		for range 60 {
			if w.ground == nil {
				w.mend()
				_, w.ground = prove.Whole(w.State, w.tables)
				continue
			}
			what := w.change()
			found, ground := prove.Whole(w.State, w.tables)
			proved, isPart := w.part()
			switch {
			case !isPart:
				count.wholes++
				w.ground = ground
				continue
			case proved && len(found) > 0:
				t.Fatalf("seed %d, host %s: after %s the part is proved, and the whole finds %s", seed, w.tables.Switch.Host, what, &found[0])
			case proved:
				count.right++
				continue // further parts are proved on the ground that there is
			case len(found) > 0:
				count.wrong++
			default:
				count.doubts++
				t.Logf("DOUBT %d %s", seed, what)
			}
			w.ground = ground
		}
	}
	t.Logf("%+v", count)
	if count.right < 20 || count.wrong < 20 || count.doubts > count.right/20 {
		t.Errorf("%+v: parts are tried too little, or are too often in doubt", count)
	}
}

// twin is a world one of whose hosts is proved again and again, and what changed since the last proof.
type twin struct {
	*worlds.World
	tables prove.Tables
	ground *prove.Ground
	slices map[flows.Slice]bool
	all    bool
}

func newTwin(seed uint64) *twin {
	w := &twin{World: worlds.New(seed), slices: map[flows.Slice]bool{}}
	sws := w.Switches()
	w.tables.Switch = sws[w.IntN(len(sws))]
	w.tables.Flows, _ = flows.Desired(w.State, w.tables.Switch)
	return w
}

// part proves the slices that changed, unless they are more than a part.
func (w *twin) part() (proved, isPart bool) {
	isPart = !w.all
	for sl := range w.slices {
		isPart = isPart && prove.PartOf(sl)
	}
	part := prove.Tables{Switch: w.tables.Switch}
	for _, f := range w.tables.Flows {
		if w.slices[flows.Slice(f.Cookie)] {
			part.Flows = append(part.Flows, f)
		}
	}
	w.slices, w.all = map[flows.Slice]bool{}, false
	return isPart && w.ground.Part(w.State, part), isPart
}

func (w *twin) touch(sl flows.Slice) { w.slices[sl] = true }

func (w *twin) change() string {
	switch w.IntN(6) {
	case 0, 1:
		return w.spoilFlow()
	case 2:
		return w.mend()
	case 3:
		return w.changePorts()
	}
	return w.changeState()
}

// replace puts flows in the place of others, as a switch does.
func (w *twin) replace(gone, came []of.Flow) {
	for _, f := range slices.Concat(gone, came) {
		w.touch(flows.Slice(f.Cookie))
		w.tables.Flows = slices.DeleteFunc(w.tables.Flows, func(g of.Flow) bool {
			same := f.Table == g.Table && f.Priority == g.Priority && f.Match.Equal(g.Match)
			if same {
				w.touch(flows.Slice(g.Cookie))
			}
			return same
		})
	}
	w.tables.Flows = append(w.tables.Flows, came...)
}

// spoilFlow deletes a flow, or gives it something of another.
func (w *twin) spoilFlow() string {
	f, other := w.any(), w.any()
	spoilt := f
	switch w.IntN(5) {
	case 0:
		w.replace([]of.Flow{f}, nil)
		return "deleting " + f.String()
	case 1:
		spoilt.Priority = uint16(w.IntN(300))
	case 2:
		spoilt.Actions = other.Actions
	case 3:
		spoilt.Cookie = other.Cookie
	case 4:
		spoilt.Match = other.Match
	}
	w.replace([]of.Flow{f}, []of.Flow{spoilt})
	return "making " + f.String() + " into " + spoilt.String()
}

func (w *twin) any() of.Flow { return w.tables.Flows[w.IntN(len(w.tables.Flows))] }

// mend makes the flows what they should be.
func (w *twin) mend() string {
	desired, _ := flows.Desired(w.State, w.tables.Switch)
	mods, err := flows.Compare(w.tables.Flows, desired)
	if err != nil {
		return "no mending"
	}
	w.replace(mods.Delete, slices.Concat(mods.Add, mods.Replace, mods.Modify))
	return "mending"
}

// changePorts takes an interface from the switch, or gives it another number.
func (w *twin) changePorts() string {
	ofport := maps.Clone(w.tables.Switch.OFPort)
	for _, iface := range slices.Sorted(maps.Keys(ofport)) {
		if w.IntN(len(ofport)) > 0 {
			continue
		}
		if ofport[iface] += uint32(w.IntN(3)); w.IntN(3) == 0 {
			delete(ofport, iface)
		}
	}
	for iface := range w.tables.Switch.OFPort {
		if ofport[iface] != w.tables.Switch.OFPort[iface] {
			w.all = flows.AffectedPort(w.State, w.tables.Switch.Host, iface, w.touch) || w.all
		}
	}
	w.tables.Switch.OFPort = ofport
	return "changing ports"
}

// changeState changes one object.
func (w *twin) changeState() string {
	key, o := w.object()
	before := w.desired()
	for _, c := range w.Change(key, o) {
		w.all = w.all || prove.Everywhere(c)
		flows.Affected(w.State, []store.Change{c}, func(host string, sl flows.Slice) {
			if host == w.tables.Switch.Host {
				w.touch(sl)
			}
		})
	}
	w.leave(before)
	return fmt.Sprintf("%s is %+v", key, o)
}

// leave deletes the flows of marked slices that the host had and is not to have any more, as a session does before it has them proved:
// later changes of their objects may concern other hosts alone.
func (w *twin) leave(before map[string]bool) {
	after := w.desired()
	w.tables.Flows = slices.DeleteFunc(w.tables.Flows, func(f of.Flow) bool {
		text := f.String()
		return w.slices[flows.Slice(f.Cookie)] && before[text] && !after[text]
	})
}

// desired are the flows that the host is to have.
func (w *twin) desired() map[string]bool {
	all, _ := flows.Desired(w.State, w.tables.Switch)
	texts := map[string]bool{}
	for i := range all {
		texts[all[i].String()] = true
	}
	return texts
}

func (w *twin) object() (store.Key, store.Object) {
	switch w.IntN(6) {
	case 0:
		return w.port()
	case 1:
		return w.host()
	case 2:
		return w.network()
	case 3:
		return w.tenant()
	case 4:
		if w.IntN(8) == 0 {
			return store.SettingsKey(), &store.Settings{Transit: netip.MustParsePrefix("100.80.0.0/12")}
		}
		fallthrough
	default:
		g := &store.Gateway{Active: w.Hosts[w.IntN(len(w.Hosts))]}
		if w.IntN(2) == 0 {
			g.Draining = []string{w.Hosts[w.IntN(len(w.Hosts))]}
		}
		return store.GatewayKey(w.anyTenant()), g
	}
}

func (w *twin) anyTenant() string { return w.Tenants[w.IntN(len(w.Tenants))] }

func (w *twin) port() (store.Key, store.Object) {
	if len(w.Ports) == 0 {
		return w.tenant()
	}
	p := w.Ports[w.IntN(len(w.Ports))]
	v := *p.Value
	switch w.IntN(5) {
	case 0:
		return p.Key, nil
	case 1:
		v.MAC[5]++
	case 2:
		v.Number = uint32(1 + w.IntN(len(w.Ports)))
	case 3:
		v.AllowedPairs = append(slices.Clone(v.AllowedPairs), store.AddressPair{Prefix: netip.MustParsePrefix("10.0.0.64/26")})
	case 4:
		v.Interface = w.Ports[w.IntN(len(w.Ports))].Value.Interface
	}
	return p.Key, &v
}

func (w *twin) host() (store.Key, store.Object) {
	name := w.Hosts[w.IntN(len(w.Hosts))]
	h := w.State.Host(name)
	if h == nil {
		return store.HostKey(name), &store.Host{DatapathID: 7, VTEPs: []netip.Addr{worlds.Addr("172.30.0.77")}}
	}
	v := *h.Value
	switch w.IntN(4) {
	case 0:
		return h.Key, nil
	case 1:
		v.Infrastructure = append(slices.Clone(v.Infrastructure), netip.MustParsePrefix("198.51.100.0/28"))
	case 2:
		v.VTEPs = []netip.Addr{worlds.Addr("172.30.0.%d", 1+w.IntN(6))}
	case 3:
		v.Weight++
	}
	return h.Key, &v
}

func (w *twin) network() (store.Key, store.Object) {
	name := w.anyTenant()
	for n := range w.State.NetworksOf(name) {
		v := *n.Value
		switch w.IntN(4) {
		case 0:
			return n.Key, nil
		case 1:
			v.Number = uint32(0x100*(1+w.IntN(3)) + w.IntN(3))
		case 2:
			v.Segmentation, v.Segment = store.SegmentationVLAN, uint32(1+w.IntN(5))
		case 3:
			v.Subnets = append(slices.Clone(v.Subnets), store.Subnet{Prefix: netip.MustParsePrefix("10.7.0.0/24"), Gateway: worlds.Addr("10.7.0.1")})
		}
		return n.Key, &v
	}
	return w.tenant()
}

func (w *twin) tenant() (store.Key, store.Object) {
	name := w.anyTenant()
	t := w.State.Tenant(name)
	if t == nil || w.IntN(2) == 0 {
		return store.TenantKey(name), &store.Tenant{Number: uint32(1 + w.IntN(4))}
	}
	if w.IntN(3) == 0 {
		return t.Key, nil
	}
	v := *t.Value
	v.Hosts = []string{w.Hosts[0]}
	return t.Key, &v
}
