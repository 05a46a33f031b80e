package ovsdb

import (
	"fmt"
	"slices"
	"time"

	"github.com/ovn-kubernetes/libovsdb/model"
)

// InactivityProbe is how long a switch waits for a word of its controller before it asks for
// one, and again before it gives the connection up. A controller whose process ends is noticed
// at once; this is for one whose machine vanished or was cut off, which a switch gives up after
// 10 s at most.
const InactivityProbe = 5 * time.Second

// maxBackoff is how fast a switch comes back to a controller that returned, in milliseconds:
// the least that the schema allows.
const maxBackoff = 1000

// correctController keeps the rows of targets that stay, so that their connections and the
// flows do too. Those of targets that shall go wait until one that shall be is connected: the step
// to another controller, or from tcp to ssl, leaves the switch with one of the two.
func (t *tx) correctController(row *bridgeRow, targets []string) error {
	if len(targets) == 0 {
		return nil
	}
	missing := slices.Clone(targets)
	var wrong []string
	arrived := false
	for _, uuid := range row.Controllers {
		c := &controllerRow{UUID: uuid}
		if err := t.refer(c); err != nil {
			return err
		}
		at := slices.Index(missing, c.Target)
		if at < 0 {
			wrong = append(wrong, uuid)
			continue
		}
		arrived = arrived || c.IsConnected
		missing = slices.Delete(missing, at, at+1)
		if err := t.tuneController(c); err != nil {
			return err
		}
	}
	if !arrived {
		wrong = nil
	}
	return t.replaceControllers(row, wrong, missing)
}

// tuned reports whether a controller is connected as newController says.
func (c *controllerRow) tuned() bool {
	want := newController(c.UUID, c.Target)
	return equal(c.ConnectionMode, want.ConnectionMode) && equal(c.MaxBackoff, want.MaxBackoff) &&
		equal(c.InactivityProbe, want.InactivityProbe)
}

func (t *tx) tuneController(c *controllerRow) error {
	if c.tuned() {
		return nil
	}
	want := newController(c.UUID, c.Target)
	return t.add(t.Where(c).Update(want, &want.ConnectionMode, &want.MaxBackoff, &want.InactivityProbe))
}

func (t *tx) replaceControllers(row *bridgeRow, wrong, missing []string) error {
	var added []string
	for n, target := range missing {
		c := newController(fmt.Sprintf("controller%d", n), target)
		added = append(added, c.UUID)
		if err := t.create(c); err != nil {
			return err
		}
	}
	var mutations []model.Mutation
	if added != nil {
		mutations = append(mutations, insert(&row.Controllers, added))
	}
	if wrong != nil {
		mutations = append(mutations, remove(&row.Controllers, wrong))
	}
	if mutations == nil {
		return nil
	}
	return t.add(t.Where(row).Mutate(row, mutations...))
}

func newController(uuid, target string) *controllerRow {
	mode, back, probe := "out-of-band", maxBackoff, int(InactivityProbe.Milliseconds())
	return &controllerRow{
		UUID: uuid, Target: target, ConnectionMode: &mode, MaxBackoff: &back, InactivityProbe: &probe,
	}
}
