package session

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"sluice/controller/cluster"
	"sluice/controller/host"
	"sluice/controller/report"
	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/metrics"
	"sluice/store"
)

var update = flag.Bool("update", false, "write the scenarios anew")

// A scenario is a text file of stanzas: one command a line, a line ----, and what the commands
// did. It runs the controller's own picture, fleet, plans and reports on simulated switches, by
// a clock that only `wait` moves.
//
//	put KEY JSON            writes an object at the next revision, as etcd would show it
//	delete KEY              deletes it; several puts and deletes behind `batch` make one revision
//	connect HOST IFACE=N .. the host's switch dials in with these interfaces; marks all
//	ports HOST IFACE=N ..   the switch tells its interfaces anew
//	disconnect HOST         the switch is gone
//	goon HOST               the host is programmed by its last known state, since etcd is away
//	claim HOST              etcd is back, and confirms a new claim; marks all
//	refuse HOST TABLE       its switch refuses flows of a table from now on; no table: none
//	program HOST [flows]    a round of programming: the mods sent, with their flows if asked for
//	audit HOST              what a switch holds that it should not, or lacks; that is mended
//	edit HOST FLOW          somebody else writes a flow to the switch: when it is audited
//	wait DURATION           time passes: reports are written to etcd
func TestScenarios(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.scenario")
	if err != nil || len(paths) < 5 {
		t.Fatalf("%d scenarios: %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var got string
			synctest.Test(t, func(t *testing.T) { got = runScenario(t, string(want)) })
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("the scenario goes otherwise (-want +got); -update writes it:\n%s", diff)
			}
		})
	}
}

// runScenario is the text with what its commands do now.
func runScenario(t *testing.T, text string) string {
	w := newWorld(t)
	var b strings.Builder
	for _, stanza := range strings.Split(strings.TrimSpace(text), "\n\n") {
		commands, _, has := strings.Cut(stanza+"\n", "----\n")
		if !has { // a comment
			b.WriteString(stanza + "\n\n")
			continue
		}
		w.out.Reset()
		for line := range strings.Lines(commands) {
			if err := w.run(strings.TrimSpace(line)); err != nil {
				t.Fatalf("%q: %v", strings.TrimSpace(line), err)
			}
			w.settle()
		}
		w.flush(t)
		w.settle()
		b.WriteString(commands + "----\n" + w.out.String() + "\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// settle shows what the reporter writes now that there may be something to tell.
func (w *scenario) settle() {
	w.reports.Poke()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, line := range w.told {
		fmt.Fprintf(&w.out, "report: %s\n", line)
	}
	w.told = nil
}

// scenario is a controller c1 without etcd and with switches that are lists of flows.
type scenario struct {
	out      bytes.Buffer
	picture  *cluster.Picture
	fleet    *host.Fleet
	batch    *store.Batch // being collected; nil: none is
	created  map[store.Key]store.Revision
	revision store.Revision
	switches map[string]*simulated
	reports  *report.Reporter

	mu   sync.Mutex
	told []string // what the reporter wrote since it was last shown
}

func newWorld(t *testing.T) *scenario {
	t.Helper()
	set, err := metrics.New(prometheus.NewRegistry(), func() metrics.Snapshot { return metrics.Snapshot{} })
	if err != nil {
		t.Fatal(err)
	}
	w := &scenario{
		picture: cluster.New(), fleet: host.NewFleet("c1", set),
		created: map[store.Key]store.Revision{}, switches: map[string]*simulated{},
	}
	w.reports = report.New(report.Options{
		Controller: "c1", Picture: w.picture, Fleet: w.fleet, Store: written{w}, Realize: set.Realize, Log: slog.New(slog.DiscardHandler),
		Problems: func(s *store.State) store.Problems { return w.fleet.Problems(s).Told() },
		Unknown:  func() store.UnknownSwitches { return store.UnknownSwitches{} },
	})
	w.picture.Observe(w.fleet.Observe, w.reports.Observe)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.reports.Keep(ctx) // ends with ctx, without an error
	}()
	t.Cleanup(func() { cancel(); <-done })
	return w
}

// written shows what the reporter writes to etcd.
type written struct{ w *scenario }

func (e written) List(context.Context, store.Kind, ...string) ([]store.Event, store.Revision, error) {
	return nil, 0, nil
}

func (e written) PutStatus(_ context.Context, events []store.Event, _ ...store.Presumption) error {
	e.w.mu.Lock()
	defer e.w.mu.Unlock()
	for _, event := range events {
		if event.Object == nil {
			e.w.told = append(e.w.told, "delete "+event.Key.Short())
			continue
		}
		value, err := store.Encode(event.Object)
		if err != nil {
			return err
		}
		e.w.told = append(e.w.told, fmt.Sprintf("put %s %s", event.Key.Short(), value))
	}
	return nil
}

// run runs one command.
func (w *scenario) run(line string) error {
	words := strings.Fields(line)
	if len(words) == 0 || strings.HasPrefix(line, "#") {
		return nil
	}
	name, rest := words[0], strings.TrimSpace(strings.TrimPrefix(line, words[0]))
	switch name {
	case "put":
		path, value, _ := strings.Cut(rest, " ")
		return w.event(path, value)
	case "delete":
		return w.event(rest, "")
	case "batch":
		w.batch = &store.Batch{}
		return nil
	case "wait":
		d, err := time.ParseDuration(rest)
		time.Sleep(d)
		return err
	}
	if len(words) < 2 {
		return errors.New("it names no host")
	}
	h := w.fleet.Get(words[1])
	if h == nil {
		return fmt.Errorf("host %s is not registered", words[1])
	}
	return w.onHost(name, h, words[2:], rest)
}

// onHost runs a command of a host's switch.
func (w *scenario) onHost(name string, h *host.Host, args []string, rest string) error {
	sw := w.switches[h.Name]
	if sw == nil {
		sw = &simulated{audits: schedule{interval: time.Minute, due: time.Now().Add(time.Minute)}}
		w.switches[h.Name] = sw
	}
	switch name {
	case "connect":
		h.Connect()
		h.SetPorts(portsOf(args))
		h.MarkAll(w.revision)
	case "ports":
		w.picture.View(func(s *store.State) {
			for _, iface := range h.SetPorts(portsOf(args)) {
				h.MarkPort(s, iface)
			}
		})
		w.marked(h)
	case "disconnect":
		h.Disconnect()
	case "goon":
		h.GoOn()
	case "claim":
		return w.claim(h)
	case "refuse":
		sw.refuses = strings.Join(args, "")
	case "edit":
		f, err := openflow.ParseFlow(strings.TrimSpace(strings.TrimPrefix(rest, h.Name)))
		if err != nil {
			return err
		}
		sw.add(f)
		sw.edited = true
		sw.audits.edited(time.Now())
		fmt.Fprintf(&w.out, "%s: audited in %v\n", h.Name, time.Until(sw.audits.due))
	case "program":
		return w.program(h, sw, slices.Contains(args, "flows"))
	case "audit":
		return w.audit(h, sw)
	default:
		return fmt.Errorf("there is no command %s", name)
	}
	return nil
}

// claim claims a host as a session does, without what etcd keeps of it but the exception.
func (w *scenario) claim(h *host.Host) error {
	exception := h.Disclaim()
	write := func() (store.Revision, error) {
		event := store.Event{Key: store.StatusHostKey(h.Name), Object: exception}
		return w.revision, written{w}.PutStatus(context.Background(), []store.Event{event})
	}
	if _, err := w.reports.Claim(h.Name, exception, write); err != nil {
		return err
	}
	_, latest := h.Generations()
	h.Claimed(latest + 1)
	h.MarkAll(w.revision)
	return nil
}

func portsOf(args []string) map[string]uint32 {
	ports := map[string]uint32{}
	for _, arg := range args {
		name, number, _ := strings.Cut(arg, "=")
		n, _ := strconv.ParseUint(number, 10, 32)
		ports[name] = uint32(n)
	}
	return ports
}

// event adds an event to the batch that is collected, or is one by itself.
func (w *scenario) event(path, value string) error {
	key, err := store.ParseKey(store.Prefix + path)
	if err != nil {
		return err
	}
	rev := w.revision + 1
	e := store.Event{Key: key, Modified: rev}
	if value == "" {
		delete(w.created, key)
	} else {
		if e.Object, err = store.Decode(key, []byte(value)); err != nil {
			return err
		}
		if w.created[key] == 0 {
			w.created[key] = rev
		}
		e.Created = w.created[key]
	}
	if w.batch != nil {
		w.batch.Events = append(w.batch.Events, e)
		return nil
	}
	return w.apply(store.Batch{Events: []store.Event{e}})
}

// flush applies the batch that was collected.
func (w *scenario) flush(t *testing.T) {
	t.Helper()
	if w.batch == nil {
		return
	}
	b := *w.batch
	w.batch = nil
	if err := w.apply(b); err != nil {
		t.Fatal(err)
	}
}

// apply shows what a batch marked.
func (w *scenario) apply(b store.Batch) error {
	w.revision++
	b.Revision = w.revision
	fmt.Fprintf(&w.out, "revision %d\n", b.Revision)
	if err := w.picture.Apply(b); err != nil {
		return err
	}
	for h := range w.fleet.All() {
		w.marked(h)
	}
	return nil
}

// marked shows the slices of a host that are marked. It takes the marks and puts them back, so that
// each stanza shows all that wait.
func (w *scenario) marked(h *host.Host) {
	marks := h.Take()
	h.PutBack()
	if marks.Empty() {
		return
	}
	names := []string{"all"}
	if !marks.All {
		names = nil
		w.picture.View(func(s *store.State) {
			for _, slice := range slices.Sorted(maps.Keys(marks.Slices)) {
				names = append(names, flows.Owner(s, uint64(slice)))
			}
		})
	}
	fmt.Fprintf(&w.out, "marked on %s: %s\n", h.Name, strings.Join(names, ", "))
}

// program runs one round as a session does, without its turns and its dump.
func (w *scenario) program(h *host.Host, sw *simulated, show bool) error {
	var p *plan
	w.picture.View(func(s *store.State) {
		if marks := h.Take(); !marks.Empty() {
			p = newPlan(s, h.Switch(s), marks, 0)
		}
	})
	if p == nil {
		fmt.Fprintln(&w.out, "nothing is marked")
		return nil
	}
	mods, err := sw.compare(p)
	if err != nil {
		return err
	}
	w.sendAll(sw, p, mods)
	w.show(h, mods, show)
	h.Confirm(p.Outcome)
	for _, problem := range h.Problems().Told() {
		fmt.Fprintf(&w.out, "problem: %s: %s\n", problem.Object, problem.Text)
	}
	for _, a := range p.Missing {
		fmt.Fprintf(&w.out, "missing: %s\n", a.Key.Short())
	}
	return nil
}

func (w *scenario) sendAll(sw *simulated, p *plan, mods flows.Mods) {
	for _, step := range steps(&mods) {
		for _, f := range *step.flows {
			w.send(sw, p, step.command, f)
		}
	}
}

// send gives one mod to the switch.
func (w *scenario) send(sw *simulated, p *plan, command openflow.Command, f openflow.Flow) {
	switch {
	case command == openflow.DeleteStrict:
		sw.remove(f)
	case sw.refuses == flows.TableName(f.Table):
		w.picture.View(func(s *store.State) { p.refuse(s, f, errors.New("the table is full")) })
	default:
		sw.add(f)
	}
}

// show prints mods: how many of each owner, or each of them.
func (w *scenario) show(h *host.Host, mods flows.Mods, each bool) {
	if mods.Len() == 0 {
		fmt.Fprintf(&w.out, "%s: no mods\n", h.Name)
	}
	w.picture.View(func(s *store.State) {
		for _, step := range steps(&mods) {
			count := map[string]int{}
			var owners []string
			for _, f := range *step.flows {
				owner := flows.Owner(s, f.Cookie)
				if count[owner]++; count[owner] == 1 {
					owners = append(owners, owner)
				}
			}
			for _, owner := range owners {
				fmt.Fprintf(&w.out, "%s: %s %d of %s\n", h.Name, step.label, count[owner], owner)
				for _, f := range *step.flows {
					if each && flows.Owner(s, f.Cookie) == owner {
						f.Cookie = 0
						fmt.Fprintf(&w.out, "  %s\n", strings.TrimSpace(f.String()))
					}
				}
			}
		}
	})
}

// audit compares a switch whole, and mends it.
func (w *scenario) audit(h *host.Host, sw *simulated) error {
	var p *plan
	w.picture.View(func(s *store.State) { p = newPlan(s, h.Switch(s), host.Marks{All: true}, 0) })
	mods, err := sw.compare(p)
	if err != nil {
		return err
	}
	w.show(h, h.Unexplained(mods), true)
	w.sendAll(sw, p, mods)
	sw.audits.audited(time.Now(), sw.edited)
	sw.edited = false
	return nil
}

// A put whose JSON has a field that its object does not know would test less than it says.
func TestScenariosPutWhatObjectsKnow(t *testing.T) {
	paths, _ := filepath.Glob("testdata/*.scenario")
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
			words := strings.SplitN(lines.Text(), " ", 3)
			if words[0] != "put" {
				continue
			}
			key, err := store.ParseKey(store.Prefix + words[1])
			if err != nil {
				t.Fatal(err)
			}
			object, err := store.Decode(key, []byte(words[2]))
			if err != nil {
				t.Fatal(err)
			}
			strict := json.NewDecoder(strings.NewReader(words[2]))
			strict.DisallowUnknownFields()
			if err := strict.Decode(object); err != nil {
				t.Errorf("%s: %s: %v", path, words[1], err)
			}
		}
	}
}
