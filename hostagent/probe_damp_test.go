package hostagent

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/store"
)

// The first death counts as long as it lasts, each further one soon after for twice as long as the one before. What a damped switch finds is
// no death, and after five calm minutes a death is the first.
func TestDamper(t *testing.T) {
	start := time.Now()
	var d damper
	for _, tt := range []struct {
		at     time.Duration // since the start
		dead   bool          // as the switch finds it
		damped bool
	}{
		{0, true, false}, // a probe that is new: it was never alive
		{1 * time.Second, false, false},
		{2 * time.Second, true, false}, // the first
		{3 * time.Second, true, false},
		{5 * time.Second, false, false},
		{7 * time.Second, true, true},  // the second: 10 s
		{9 * time.Second, false, true}, // heard before it was damped
		{10 * time.Second, true, true},
		{16 * time.Second, true, true},
		{17 * time.Second, true, false}, // not heard again yet: no death
		{18 * time.Second, false, false},
		{20 * time.Second, true, true}, // 20 s
		{39 * time.Second, true, true},
		{41 * time.Second, false, false},
		{50 * time.Second, true, true}, // 40 s
		{90 * time.Second, false, false},
		{91 * time.Second, true, true},   // 80 s
		{171 * time.Second, true, false}, // it is dead for good
		{172 * time.Second, false, false},
		{173 * time.Second, true, true}, // 120 s
		{292 * time.Second, true, true},
		{294 * time.Second, false, false},
		{295 * time.Second, true, true}, // 120 s again
		{415 * time.Second, false, false},
		{714 * time.Second, true, true}, // not calm yet
		{840 * time.Second, false, false},
		{1134 * time.Second, true, false}, // five calm minutes
		{1140 * time.Second, false, false},
		{1141 * time.Second, true, true},
	} {
		if got := d.finds(tt.dead, start.Add(tt.at)); got != tt.damped {
			t.Errorf("after %s, dead %t: damped %t, want %t; %+v", tt.at, tt.dead, got, tt.damped, d)
		}
	}
}

// A real switch is told of those probes of which it is to find something else than before, and of no other; one that was told nothing yet, or is another
// process, finds of all what it hears. What it was told is seen by what it finds of probes that were taken for alive by hand.
func TestSwitchIsToldOfDamping(t *testing.T) {
	h := newHost(t)
	var probe []string
	for i, name := range []string{"flaps", "stays"} {
		if _, err := h.client.RegisterHost(t.Context(), name, store.Host{Incarnation: name, DatapathID: datapathID(name),
			VTEPs: []netip.Addr{netip.MustParseAddr(fmt.Sprintf("172.30.0.%d", 8+i))}, Encap: "geneve", Gateway: true}); err != nil {
			t.Fatal(err)
		}
		probe = append(probe, store.ProbeInterface(name))
	}
	a, _, stop := h.start()
	spec := store.FailOverSpec{On: true}
	if _, err := h.client.Decide(t.Context(), spec.Propose, spec.Needs()...); err != nil {
		t.Fatal(err)
	}
	h.realizeAll()
	alive := func(name string) bool {
		shown, _ := h.ovs().AppCtl(t.Context(), "bfd/show", name)
		return strings.Contains(shown, "Forwarding: true")
	}
	byHand := func() {
		for _, name := range probe {
			if _, err := h.ovs().AppCtl(t.Context(), setForwarding, name, "true"); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, name := range probe {
		h.eventually("the probe of "+name+" is raised", func() bool {
			is, err := h.ovs().VSCtl(t.Context(), "--if-exists", "get", "interface", name, "bfd:enable")
			return err == nil && strings.Trim(is, "\"\n") == "true"
		})
	}
	stop() // the agent judges these probes too
	process, err := switchPID(h.dir)
	if err != nil {
		t.Fatal(err)
	}
	flaps := probe[:1]
	for _, tt := range []struct {
		what         string
		told         *damping
		damped       []string
		flaps, stays bool // whether they are found alive then
	}{
		{"one is damped", &damping{process: process}, flaps, false, true},
		{"it is still", &damping{process, flaps}, flaps, true, true},
		{"it is no more", &damping{process, flaps}, nil, false, true},
		{"nothing was told", nil, nil, false, false},
		{"another process was told", &damping{"1", flaps}, flaps, false, false},
		{"one that is gone was told of", &damping{process, []string{"sl-gone"}}, nil, true, true},
	} {
		byHand()
		told, err := a.probes.tell(t.Context(), tt.told, tt.damped)
		if err != nil {
			t.Errorf("%s: %v", tt.what, err)
			continue
		}
		if told.process != process || !slices.Equal(told.probes, tt.damped) {
			t.Errorf("%s: what was told is %+v", tt.what, told)
		}
		if flaps, stays := alive(probe[0]), alive(probe[1]); flaps != tt.flaps || stays != tt.stays {
			t.Errorf("%s: alive are flaps %t, want %t; stays %t, want %t", tt.what, flaps, tt.flaps, stays, tt.stays)
		}
	}
	if _, err := a.probes.tell(t.Context(), nil, []string{"sl-none"}); err == nil {
		t.Error("a probe that is not there is damped")
	}
}

// What is damped is told by the names of hosts.
func TestDampedHosts(t *testing.T) {
	p := &probes{gateways: map[string]string{"b2": "h2", "b1": "h1", "b3": "h3"}}
	for _, tt := range []struct{ damped, want []string }{{[]string{"b3", "b1", "gone"}, []string{"h1", "h3"}}, {nil, nil}} {
		if p.noteDamped(tt.damped); !slices.Equal(p.dampedHosts(), tt.want) {
			t.Errorf("of %v damped are %v, want %v", tt.damped, p.dampedHosts(), tt.want)
		}
	}
}

// The cluster is told of no damping of which the switch does not know: that sends to the host as before.
func TestDampingOfASwitchThatIsAway(t *testing.T) {
	o := testOptions()
	o.RunDir = t.TempDir()
	p := &probes{o: o, problems: newProblems(o.Log), gateways: map[string]string{"b2": "h2"}}
	if told := p.tellAll(t.Context(), nil, []string{"b2"}); told != nil || p.dampedHosts() != nil {
		t.Errorf("no switch runs, and was told %+v; damped are %v", told, p.dampedHosts())
	}
	if p.problems.text("damping of probes") == "" {
		t.Error("that it was not told is no problem")
	}
}
