package flows_test

import (
	"fmt"
	"slices"
	"testing"

	"sluice/flows"
	"sluice/flows/internal/worlds"
	"sluice/flows/simulate"
)

// world is a random cluster, compiled and loaded into simulated switches.
type world struct {
	*worlds.World
	t        *testing.T
	cluster  *simulate.Cluster
	switches []*simulate.Host
	expected map[flows.Class]uint64
}

type port = worlds.Port

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{World: worlds.New(seed), t: t, expected: map[flows.Class]uint64{}}
	w.compile()
	return w
}

// compile loads every host's flows into its switch.
func (w *world) compile() {
	for _, sw := range w.Switches() {
		h := w.Simulated(sw)
		all, problems := flows.Desired(w.State, sw)
		for _, p := range problems {
			if !w.Spoilt[p.Key] {
				w.fatalf("host %s: problem of %s: %s", sw.Host, p.Object, p.Text)
			}
		}
		var err error
		if h.Bridge, err = simulate.NewBridge(all); err != nil {
			w.fatalf("host %s: %v", sw.Host, err)
		}
		w.switches = append(w.switches, h)
	}
	w.cluster = simulate.NewCluster(w.switches...)
}

// portAt is the port that a delivery reached; nil for a kernel.
func (w *world) portAt(d simulate.Delivery) *port {
	for _, p := range slices.Concat(w.Ports, w.Strays) {
		if !d.Kernel && p.Host == d.Host && p.OFPort == d.Port {
			return p
		}
	}
	return nil
}

func (w *world) fatalf(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf("%s\n%s", fmt.Sprintf(format, args...), w)
}
