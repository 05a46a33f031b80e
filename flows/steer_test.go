package flows_test

import (
	"slices"
	"testing"

	of "sluice/datapath/openflow"
	"sluice/flows"
	"sluice/flows/internal/worlds"
	"sluice/store"
)

// alive has the probes of all switches find some hosts alive and all others dead.
func (l *lab) alive(hosts ...string) {
	for _, h := range l.hosts {
		for i, other := range []string{"h1", "h2", "h3"} {
			h.Bridge.SetLive(probePorts+uint32(i+1), slices.Contains(hosts, other))
		}
	}
}

// Whoever finds the active gateway host dead sends to the backup, which asks it for nothing. That is so for the
// containers of the backup itself, too.
func TestBackupTakesOver(t *testing.T) {
	for _, g := range []store.Gateway{
		{Active: "h3", Backup: "h2"},
		{Active: "h3", Backup: "h2", Draining: []string{"h1"}},
		{Active: "h3", Backup: "h2", Standby: []string{"h1"}},
		{Active: "h3", Backup: "h2", Move: &store.Move{To: "h1"}},
	} {
		l := newLab(t)
		l.gateway(store.Gateway{Active: "h1"}, "h1", "h2", "h3")
		var before []sent
		for _, p := range l.opening(0) {
			l.leaves("opening", p, "h1")
			before = append(before, p.goesOn())
		}
		l.gateway(g, "h1", "h2", "h3")
		drains := slices.Contains(g.Draining, "h1")
		for port, alive := range [][]string{{"h1", "h2", "h3"}, {"h1", "h2"}, {"h1"}} {
			l.alive(alive...)
			want := map[bool]string{true: "h3", false: "h2"}[port == 0]
			for _, p := range l.opening(uint16(100 * (port + 1))) {
				host := want
				if port == 2 && p.from == "a1" {
					host = "h3" // neither is alive for h1, while h2 is its own backup
				}
				l.leaves("new", p, host)
			}
			for _, p := range before {
				if drains && (port < 2 || p.from == "a2") {
					l.leaves("of before", p, "h1")
				}
			}
		}
	}
}

// A host that no probe tells of is sent to as if there were no backup.
func TestWithoutProbesThereIsNoBackup(t *testing.T) {
	l := newLab(t)
	gateway := store.Gateway{Active: "h1", Backup: "h3"}
	l.put(store.GatewayKey("alice"), &gateway)
	h1, h3 := store.ProbeInterface("h1"), store.ProbeInterface("h3")
	all := map[string]uint32{store.TunnelInterface: 1, h1: 2, h3: 3}
	for _, tt := range []struct {
		what    string
		ports   map[string]uint32
		backups bool
	}{
		{"both are probed", all, true},
		{"the active one is not", map[string]uint32{store.TunnelInterface: 1, h3: 3}, false},
		{"the backup is not", map[string]uint32{store.TunnelInterface: 1, h1: 2}, false},
		{"a port's number has more than 16 bits", map[string]uint32{store.TunnelInterface: 1, h1: 2, h3: 0xfff7}, false},
		{"a port's number has 16 bits", map[string]uint32{store.TunnelInterface: 1, h1: 2, h3: 0xfff6}, true},
	} {
		steers := false
		list, _ := flows.Desired(l.state, flows.Switch{Host: "h2", OFPort: tt.ports})
		for _, f := range list {
			steers = steers || slices.Contains(f.Actions, of.Action(of.GotoTable{Table: flows.TableSteer}))
		}
		if steers != tt.backups {
			t.Errorf("%s: steers %t", tt.what, steers)
		}
	}
}

// A probe port that comes or goes changes what it marks, and nothing else.
func TestProbePortMarks(t *testing.T) {
	for seed := range uint64(40) {
		w := worlds.New(seed)
		for _, sw := range w.Switches() {
			before, _ := flows.Desired(w.State, sw)
			for _, other := range w.Hosts {
				iface := store.ProbeInterface(other)
				if sw.OFPort[iface] == 0 {
					continue
				}
				marked := map[flows.Slice]bool{}
				if all := flows.AffectedPort(w.State, sw.Host, iface, func(sl flows.Slice) { marked[sl] = true }); all {
					t.Fatalf("seed %d: %s marks all of %s", seed, iface, sw.Host)
				}
				after, _ := flows.Desired(w.State, without(sw, iface))
				mods, err := flows.Compare(before, after)
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range slices.Concat(mods.Add, mods.Replace, mods.Modify, mods.Delete) {
					if !marked[flows.Slice(f.Cookie)] {
						t.Errorf("seed %d, %s without %s: %s is not marked", seed, sw.Host, iface, &f)
					}
				}
			}
		}
	}
}

// Who becomes a gateway host, or is none any more, changes what that marks, and nothing else.
func TestGatewayHostMarks(t *testing.T) {
	changed := 0
	for seed := range uint64(40) {
		w := worlds.New(seed)
		for _, name := range w.Hosts {
			before := map[string][]of.Flow{}
			for _, sw := range w.Switches() {
				before[sw.Host], _ = flows.Desired(w.State, sw)
			}
			is := w.State.Host(name)
			other := *is.Value
			other.Gateway = !other.Gateway
			marked := map[string]map[flows.Slice]bool{}
			at := w.State.Revision() + 1
			flows.Affected(w.State, w.State.Apply(store.Batch{Revision: at, Events: []store.Event{{Key: is.Key, Object: &other, Created: is.Created, Modified: at}}}), func(host string, sl flows.Slice) {
				if marked[host] == nil {
					marked[host] = map[flows.Slice]bool{}
				}
				marked[host][sl] = true
			})
			for _, sw := range w.Switches() {
				after, _ := flows.Desired(w.State, sw)
				mods, err := flows.Compare(before[sw.Host], after)
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range slices.Concat(mods.Add, mods.Replace, mods.Modify, mods.Delete) {
					if changed++; !marked[sw.Host][flows.Slice(f.Cookie)] {
						t.Errorf("seed %d, %s with another %s: %s is not marked", seed, sw.Host, name, &f)
					}
				}
			}
		}
	}
	if changed == 0 {
		t.Error("no flow depends on which hosts are gateway hosts: the test shows nothing")
	}
}

// Nobody steers to a host that is no gateway host, though gateway hosts probe it.
func TestOnlyGatewayHostsAreSteeredTo(t *testing.T) {
	l := newLab(t)
	steers := func() (n int) {
		list, _ := flows.Desired(l.state, flows.Switch{Host: "h1", OFPort: map[string]uint32{
			store.TunnelInterface: 1, store.GatewayInterface: 2, store.ProbeInterface("h2"): 3, store.ProbeInterface("h3"): 4}})
		for _, f := range list {
			if f.Table == flows.TableSteer {
				n++
			}
		}
		return n
	}
	all := steers()
	h3 := *l.state.Host("h3").Value
	h3.Gateway = false
	l.put(store.HostKey("h3"), &h3)
	if left := steers(); left != all-2 {
		t.Errorf("%d flows steer, and %d once h3 is no gateway host", all, left)
	}
}

func without(sw flows.Switch, iface string) flows.Switch {
	ports := map[string]uint32{}
	for name, number := range sw.OFPort {
		if name != iface {
			ports[name] = number
		}
	}
	return flows.Switch{Host: sw.Host, OFPort: ports}
}
