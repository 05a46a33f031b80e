package proof

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"sluice/controller/host"
	"sluice/flows"
)

// Who goes by a lane takes no more than a part of the time, whoever it is.
func TestLaneRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLane(3)
		began := time.Now()
		for range 3 {
			l.free <- struct{}{}
			time.Sleep(time.Second)
			l.leave(time.Second)
		}
		if took := time.Since(began); took != 9*time.Second {
			t.Errorf("three that took a second each were through after %s", took)
		}
		time.Sleep(time.Hour)
		l.free <- struct{}{}
		l.leave(0)
		synctest.Wait()
		if len(l.free) != 0 {
			t.Error("a lane rests after one that did nothing")
		}
	})
}

// While other switches that are in doubt are proved one after another, one that somebody edited goes first; one that is merely
// due waits longest.
func TestWhoGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, time.Minute)
		r.run(func() {
			r.prover.doubted.free <- struct{}{}
			r.prover.regular.free <- struct{}{}
			r.watch.Changed(nil)
			time.Sleep(10 * time.Minute)
			r.is("in doubt, and others are before it", host.IsolationUnknown, 0)
			r.watch.Edited()
			r.is("edited", host.IsolationProved, 0)
			whole := r.host.Proof().Whole
			time.Sleep(10 * time.Minute)
			if p := r.host.Proof(); p.Whole != whole {
				t.Errorf("others are before it, and it was proved at %s", p.Whole)
			}
			time.AfterFunc(time.Minute, func() { <-r.prover.regular.free })
			time.Sleep(2 * time.Minute)
			if p := r.host.Proof(); p.Whole == whole {
				t.Error("nobody is before it, and it is not proved")
			}
			r.prover.regular.free <- struct{}{}
			r.watch.Changed(nil)
			time.AfterFunc(time.Minute, func() { <-r.prover.doubted.free })
			n := r.counted()
			time.Sleep(59 * time.Second)
			if r.counted() != n {
				t.Error("it did not wait for those in doubt")
			}
			time.Sleep(2 * time.Second)
			if r.counted() == n {
				t.Error("nobody else is in doubt, and it is not proved")
			}
		})
	})
}

// A switch whose flows take long to read is left alone for ten times as long.
func TestReadingRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, time.Hour)
		r.slow(time.Second)
		r.run(func() {
			r.watch.Changed(nil)
			time.Sleep(time.Second + time.Millisecond)
			for _, l := range []struct {
				rests bool
				after time.Duration
			}{{true, 0}, {true, restDoubted*time.Second - 2*time.Millisecond}, {false, time.Second}} {
				time.Sleep(l.after)
				if len(r.prover.doubted.free) == 1 != l.rests {
					t.Errorf("another %s after a proof of a second, others wait: %v, not %v", l.after, !l.rests, l.rests)
				}
			}
			time.Sleep(readingRest * time.Second)
			r.mu.Lock()
			r.reads = 0
			r.mu.Unlock()
			for range 600 {
				time.Sleep(time.Second / 10)
				r.watch.Edited()
			}
			if n := r.counted(); n < 5 || n > 7 {
				t.Errorf("within a minute its flows were read %d times, a second each", n)
			}
		})
	})
}

// slicesOf are the slices of the flows of some kind.
func (r *rig) slicesOf(kind flows.Kind) (list []flows.Slice) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.flows {
		if sl := flows.Slice(r.flows[i].Cookie); sl.Kind() == kind && !slices.Contains(list, sl) {
			list = append(list, sl)
		}
	}
	return list
}

// last is what the last reading asked for.
func (r *rig) last() []uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked[len(r.asked)-1]
}

// After a whole proof only those slices are read and proved that change; where that is not enough, all flows are.
func TestPartsAreProved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, time.Hour)
		port, network := r.slicesOf(flows.KindPort), r.slicesOf(flows.KindNetwork)
		r.run(func() {
			r.watch.Changed(port)
			r.is("a part, and nothing is proved yet", host.IsolationProved, 0)
			wholes := r.counted()
			step := func(what string, more int, slices []flows.Slice) {
				t.Helper()
				time.Sleep(time.Second)
				r.watch.Changed(slices)
				synctest.Wait()
				if wholes += more; r.counted() != wholes {
					t.Errorf("%s: all flows were read %d times, not %d", what, r.counted(), wholes)
				}
				if p := r.host.Proof(); !p.At.Equal(time.Now()) || p.Whole.Equal(p.At) != (more == 1) {
					t.Errorf("%s: at %s it is as of %s, as a whole of %s", what, time.Now(), p.At, p.Whole)
				}
			}
			step("a port", 0, port)
			if got := r.last(); !slices.Equal(got, cookiesOf(port)) {
				t.Errorf("it read cookies %x, not those of %x", got, port)
			}
			step("a network too", 0, slices.Concat(port, network))
			step("what is gone", 0, []flows.Slice{port[0] + 1})
			step("everybody's", 1, r.slicesOf(flows.KindBase))
			var many []flows.Slice
			for i := range mostParts {
				many = append(many, port[0]+flows.Slice(i))
			}
			step("many", 0, many)
			step("too many", 1, append(many, port[0]+mostParts))
			step("a port again", 0, port)
			r.apply(2, `hosts/h2 {"datapathID":"0000000000000002","vteps":["172.30.0.2"],"encap":"vxlan"}`)
			r.programmed()
			step("a port, with another host in the cluster", 1, port)
			time.Sleep(time.Second)
			before := r.host.Proof()
			r.fail(errors.New("cut off"))
			r.watch.Changed(port)
			synctest.Wait()
			if p := r.host.Proof(); p != before || r.says("cut off") != 1 || r.says("1 cookies") != 1 {
				t.Errorf("it could not be read, and was %+v, is %+v\n%s", before, p, r.log.String())
			}
			r.fail(nil)
			step("a port, after one could not be read", 1, port)
		})
	})
}

// A part that is not proved is no finding: the whole says what is wrong. While the switch changes, it is looked at again first.
func TestPartInDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, time.Hour)
		port := r.slicesOf(flows.KindPort)
		r.run(func() {
			r.watch.Changed(nil)
			time.Sleep(time.Second)
			wholes := r.counted()
			remove := r.add(fmt.Sprintf("cookie=%#x,%s", uint64(port[0]), hostile))
			r.watch.Changed(port)
			time.Sleep(between)
			r.is("a hostile flow in a part", host.IsolationUnproved, 2)
			time.Sleep(time.Second)
			r.watch.Changed(port)
			synctest.Wait()
			if n := r.counted() - wholes; n != 2 {
				t.Errorf("all flows were read %d times: there are no parts where something is wrong", n)
			}
			remove()
			time.Sleep(time.Second)
			r.watch.Changed(nil)
			r.is("it is gone", host.IsolationProved, 0)
			time.Sleep(time.Second)
			wholes = r.counted()

			for range looks { // how often in a row counts, not how often
				r.host.Mark(1, 2)
				remove = r.add(fmt.Sprintf("cookie=%#x,%s", uint64(port[0]), hostile))
				r.watch.Changed(port)
				time.Sleep(2 * between)
				remove()
				time.Sleep(2 * between)
				r.programmed()
				r.is("it was on its way out", host.IsolationProved, 0)
			}
			if n := r.counted() - wholes; n != 0 {
				t.Errorf("all flows were read %d times while the switch changed", n)
			}
			r.host.Mark(1, 2)
			r.add(fmt.Sprintf("cookie=%#x,%s", uint64(port[0]), hostile))
			r.watch.Changed(port)
			time.Sleep(2 * looks * (lookAgain + between))
			r.is("the switch changes all the time", host.IsolationUnproved, 2)
		})
	})
}

// What an audit found unchanged is proved as of then, but for what waits to be proved.
func TestAudited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, time.Hour)
		r.watch.Audited()
		if p := r.host.Proof(); !p.At.IsZero() {
			t.Errorf("nothing was proved, and it is %+v", p)
		}
		r.run(func() {
			r.watch.Changed(nil)
			synctest.Wait()
			whole := r.host.Proof().Whole
			time.Sleep(time.Minute)
			r.watch.Audited()
			if p := r.host.Proof(); !p.At.Equal(time.Now()) || p.Whole != whole {
				t.Errorf("at %s it is %+v", time.Now(), p)
			}
			time.Sleep(time.Minute)
			r.watch.Edited()
			before := r.host.Proof()
			if r.watch.Audited(); r.host.Proof() != before {
				t.Errorf("somebody edited flows, and it is %+v, was %+v", r.host.Proof(), before)
			}
			time.Sleep(time.Minute)
			r.slow(time.Minute)
			r.watch.Changed(r.slicesOf(flows.KindPort))
			for range 3 { // it waits; it is read
				before := r.host.Proof()
				r.watch.Audited()
				if p := r.host.Proof(); p != before {
					t.Errorf("something waits to be proved, and it is %+v, was %+v", p, before)
				}
				time.Sleep(time.Second)
			}
		})
	})
}
