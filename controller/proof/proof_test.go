package proof

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/controller/cluster"
	"sluice/controller/host"
	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/metrics"
	"sluice/store"
)

// rig is host h1 with alice's port, a switch that is a list of flows, and the room around it.
type rig struct {
	t       *testing.T
	picture *cluster.Picture
	host    *host.Host
	prover  *Prover
	watch   *Watch
	log     bytes.Buffer

	mu    sync.Mutex
	flows []openflow.Flow
	fails error
	reads int           // of all flows
	asked [][]uint64    // cookies, for each reading
	takes time.Duration // each reading
	told  int           // how often there was another outcome
}

// objects are what the store of a rig holds.
var objects = []string{
	`hosts/h1 {"datapathID":"0000000000000001","vteps":["172.30.0.1"],"encap":"vxlan"}`,
	`tenants/alice {"number":1,"gateway":"auto"}`,
	`networks/alice/default {"number":5,"segmentation":"tunnel","segment":5,"subnets":[{"prefix":"10.0.0.0/24","gateway":"10.0.0.1"}],"flood":"off"}`,
	`ports/h1/alice/default/a1 {"uid":"aaaaaaaaaaaa","number":11,"mac":"02:00:00:00:00:01","addresses":["10.0.0.11/24"],"interface":"sl-aaaaaaaaaaaa"}`,
}

// hostile sends everything to the first port.
const hostile = "table=10,priority=60000 actions=output:3"

func newRig(t *testing.T, interval time.Duration) *rig {
	t.Helper()
	set, err := metrics.New(prometheus.NewRegistry(), func() metrics.Snapshot { return metrics.Snapshot{} })
	if err != nil {
		t.Fatal(err)
	}
	fleet := host.NewFleet("c1", set)
	r := &rig{t: t, picture: cluster.New()}
	r.prover = New(Options{Picture: r.picture, Interval: interval, Changed: func() { r.told++ }})
	r.picture.Observe(fleet.Observe, r.prover.Observe)
	b := store.Batch{Revision: 1}
	for _, line := range objects {
		b.Events = append(b.Events, event(t, line))
	}
	if err := r.picture.Apply(b); err != nil {
		t.Fatal(err)
	}
	r.host = fleet.Get("h1")
	r.host.Connect()
	r.host.SetPorts(map[string]uint32{store.TunnelInterface: 1, "sl-aaaaaaaaaaaa": 3})
	r.programmed()
	r.picture.View(func(s *store.State) { r.flows, _ = flows.Desired(s, r.host.Switch(s)) })
	r.watch = r.prover.Watch(r.host, r.read, slog.New(slog.NewTextHandler(&r.log, nil)))
	return r
}

// event writes an object.
func event(t *testing.T, line string) store.Event {
	t.Helper()
	path, value, _ := strings.Cut(line, " ")
	key, err := store.ParseKey(store.Prefix + path)
	if err != nil {
		t.Fatal(err)
	}
	object, err := store.Decode(key, []byte(value))
	if err != nil {
		t.Fatal(err)
	}
	return store.Event{Key: key, Object: object, Created: 1, Modified: 1}
}

// apply has the store hold an object from a revision on.
func (r *rig) apply(rev store.Revision, line string) {
	r.t.Helper()
	e := event(r.t, line)
	e.Modified, e.Created = rev, rev
	if err := r.picture.Apply(store.Batch{Revision: rev, Events: []store.Event{e}}); err != nil {
		r.t.Fatal(err)
	}
}

// programmed confirms whatever is marked.
func (r *rig) programmed() {
	r.host.Take()
	r.host.Confirm(host.Outcome{Revision: 1, Slices: []flows.Slice{}})
}

func (r *rig) read(_ context.Context, cookies []uint64, yield func(*openflow.FlowStats) bool) error {
	time.Sleep(r.takesNow())
	r.mu.Lock()
	defer r.mu.Unlock()
	if cookies == nil {
		r.reads++
	}
	r.asked = append(r.asked, cookies)
	for i := range r.flows {
		if cookies == nil || slices.Contains(cookies, r.flows[i].Cookie) {
			yield(&openflow.FlowStats{Flow: r.flows[i]})
		}
	}
	return r.fails
}

// slow has every read take so long from now on.
func (r *rig) slow(takes time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.takes = takes
}

func (r *rig) takesNow() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.takes
}

// fail has every read end with an error from now on; nil: none does.
func (r *rig) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fails = err
}

// add writes a flow to the switch; the function that it returns deletes it.
func (r *rig) add(text string) (remove func()) {
	r.t.Helper()
	f, err := openflow.ParseFlow(text)
	if err != nil {
		r.t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flows = append(r.flows, f)
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.flows = r.flows[:len(r.flows)-1]
	}
}

func (r *rig) counted() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reads
}

// run lets the watch run while do does something.
func (r *rig) run(do func()) {
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.watch.Run(ctx)
	}()
	do()
	cancel()
	<-done
}

// is fails where something else is proved of the host.
func (r *rig) is(what string, want host.Isolation, findings int) {
	r.t.Helper()
	synctest.Wait()
	if p := r.host.Proof(); p.Isolation != want || p.Findings != findings {
		r.t.Errorf("%s: %+v; want it %s with %d findings\n%s", what, p, want, findings, r.log.String())
	}
}

// says counts the lines of the log with a text.
func (r *rig) says(text string) int { return strings.Count(r.log.String(), text) }

// What a switch holds is proved after a commit, after a change by somebody else, and once an interval; what
// is found is logged once, told as a problem while it is there, and forgotten with the session.
func TestProvesAllTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, time.Minute)
		if p := r.host.Proof(); p != (host.Proof{Isolation: host.IsolationUnknown}) {
			t.Errorf("before all: %+v", p)
		}
		r.run(func() {
			r.watch.Changed(nil)
			r.is("after the first commit", host.IsolationProved, 0)
			if p := r.host.Proof(); p.Flows != len(r.flows) || !p.At.Equal(time.Now()) {
				t.Errorf("it is of %d flows at %s", p.Flows, p.At)
			}
			time.Sleep(time.Second)
			remove := r.add(hostile)
			r.watch.Edited()
			r.is("with a hostile flow", host.IsolationUnproved, 2)
			problems := r.host.Problems()
			if len(problems) != 2 || !strings.Contains(problems[0].Text, "host h1") || !strings.Contains(problems[0].Text, "priority=60000 actions=output:3") {
				t.Errorf("problems: %v", problems)
			}
			if r.host.Proof().First != problems[0].Text {
				t.Errorf("the first is %q", r.host.Proof().First)
			}
			told := r.told
			time.Sleep(time.Second)
			r.watch.Edited()
			time.Sleep(2 * time.Minute)
			r.is("it stays", host.IsolationUnproved, 2)
			if r.told != told || r.says("level=ERROR") != 1 || r.says("findings=2") != 1 {
				t.Errorf("told %d times more:\n%s", r.told-told, r.log.String())
			}
			remove()
			time.Sleep(between)
			r.watch.Changed(nil)
			r.is("mended", host.IsolationProved, 0)
			if r.told != told+1 || r.says("isolation is proved again") != 1 || len(r.host.Problems()) > 0 {
				t.Errorf("mended: told %d times, %v\n%s", r.told-told, r.host.Problems(), r.log.String())
			}
		})
		at := r.host.Proof().At
		r.host.Disconnect()
		if p := r.host.Proof(); p != (host.Proof{Isolation: host.IsolationUnknown, At: at, Whole: at}) {
			t.Errorf("without a session: %+v", p)
		}
	})
}

// Once an interval all is read again, whatever is told; changes that follow each other closely are proved
// together.
func TestHowOftenItReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, time.Minute)
		r.run(func() {
			time.Sleep(10 * time.Minute)
			if n := r.counted(); n < 10 || n > 11 {
				t.Errorf("read %d times in 10 minutes", n)
			}
			before := r.counted()
			for range 100 {
				r.watch.Changed(nil)
				time.Sleep(between / 50)
			}
			if n := r.counted() - before; n < 2 || n > 4 {
				t.Errorf("100 changes within a second were proved by %d readings", n)
			}
			time.Sleep(time.Second)
			before = r.counted()
			for range 100 {
				r.watch.Edited()
				time.Sleep(leastRest / 50)
			}
			if n := r.counted() - before; n < 2 || n > 4 {
				t.Errorf("100 edits within 2 shortest rests were proved by %d readings", n)
			}
			time.Sleep(time.Second)
			r.watch.Changed(nil)
			time.Sleep(leastRest + time.Millisecond)
			before = r.counted()
			r.watch.Edited()
			synctest.Wait()
			if n := r.counted() - before; n != 1 {
				t.Errorf("an edit soon after a proof was proved at once %d times", n)
			}
		})
	})
}

// While the switch is brought to a newer state, a finding may be of what goes: what the next look does not
// find any more is not told. What stays is.
func TestUnsettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, time.Hour)
		r.run(func() {
			r.host.Mark(1, 2)
			remove := r.add(hostile)
			r.watch.Changed(nil)
			r.is("at once", host.IsolationUnknown, 0)
			remove()
			time.Sleep(lookAgain)
			r.is("gone at the second look", host.IsolationProved, 0)

			time.Sleep(between)
			remove = r.add(hostile)
			r.watch.Changed(nil)
			time.Sleep((looks - 2) * lookAgain)
			r.is("it stays for a while", host.IsolationProved, 0)
			time.Sleep(lookAgain)
			r.is("it stays", host.IsolationUnproved, 2)

			remove()
			r.add("table=11,priority=60000 actions=output:3")
			time.Sleep(between)
			r.watch.Changed(nil)
			synctest.Wait()
			r.programmed()
			time.Sleep(lookAgain)
			r.is("settled at the second look", host.IsolationUnproved, 2)
			if first := r.host.Proof().First; !strings.Contains(first, "table=11") {
				t.Errorf("the first is %s", first)
			}
		})
		if r.says("level=ERROR") != 1 {
			t.Errorf("the log:\n%s", r.log.String())
		}
	})
}

// What cannot be read stays as old as it is, and is never called proved.
func TestUnreadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, time.Minute)
		r.run(func() {
			r.fail(errors.New("cut off"))
			r.watch.Changed(nil)
			r.is("never read", host.IsolationUnknown, 0)
			if r.says("cannot be read") != 1 || r.says("cut off") != 1 || r.says("host h1") != 1 {
				t.Errorf("the log:\n%s", r.log.String())
			}
			r.fail(nil)
			time.Sleep(time.Minute)
			r.is("an interval later", host.IsolationProved, 0)
			r.fail(errors.New("cut off"))
			at := r.host.Proof().At
			time.Sleep(time.Minute)
			if p := r.host.Proof(); !p.At.Equal(at) {
				t.Errorf("read in vain, it is %+v", p)
			}
		})
		if r.says("context canceled") > 0 {
			t.Errorf("that it ends is told as a failure:\n%s", r.log.String())
		}
	})
}
