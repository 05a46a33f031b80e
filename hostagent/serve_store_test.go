package hostagent

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sync/errgroup"

	"sluice/hostagent/api"
	"sluice/store"
	"sluice/store/etcd/backuptest"
)

// swap has another etcd serve at the same address.
func (h *host) swap(dir string) {
	h.t.Helper()
	h.server.Close()
	h.serveStoreOf(h.t.Context(), dir)
}

// restore makes a directory of what a backup held.
func (h *host) restore(dir, backup string, bump uint64) string {
	h.t.Helper()
	backuptest.Restore(h.t, backup, h.path(dir), "test", peerURL, bump)
	return dir
}

// found makes the store that etcd holds a store of its own.
func (h *host) found(id string) {
	h.t.Helper()
	h.put(store.IdentityKey(), &store.Identity{ID: id})
	h.stamp()
}

func (h *host) stamp() {
	h.t.Helper()
	if err := h.client.ExtendChain(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

// judged has the agent look at its store, as it does each minute, and its ports keeper after that.
func (h *host) judged(a *Agent) {
	h.t.Helper()
	if err := a.serving.trust.Judge(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	a.mender.round(h.t.Context())
}

// settled is the picture of the host once it stays as it is: some keepers work in a rhythm of their
// own, and what they make for a new host comes a moment after it is ready.
func (h *host) settled() (picture string) {
	h.t.Helper()
	h.eventually("both tables are there", func() bool {
		rules := h.run("nft", "list", "ruleset")
		return strings.Contains(rules, "table inet "+limitsTable+" {") && strings.Contains(rules, "table inet "+tableName+" {")
	})
	h.eventually("the host stays as it is", func() bool {
		before := h.picture()
		time.Sleep(300 * time.Millisecond)
		picture = h.picture()
		return picture == before
	})
	return picture
}

// holds waits until the agent holds, and returns what it says.
func (h *host) holds(a *Agent) string {
	h.t.Helper()
	h.eventually("the agent holds", func() bool { return a.serving.held() != "" })
	return a.serving.held()
}

func (h *host) attach(c *api.Client, tenant, name string) api.Attachment {
	h.t.Helper()
	port, err := c.Attach(h.t.Context(), attachTo(tenant, name, newContainer(h.t)))
	if err != nil {
		h.t.Fatal(err)
	}
	return port
}

// say is the operator's word to the host.
func (h *host) say(word string) {
	h.t.Helper()
	h.eventually("the host asks for a word", func() bool {
		_, err := h.client.Decide(h.t.Context(), func(s *store.State) (store.Proposal, error) { return store.ProposeWord(s, "h1", word) },
			store.NeededToAnswer("h1")...)
		if err != nil {
			return false
		}
		said, _, err := h.client.Get(h.t.Context(), store.WordKey("h1"))
		return err == nil && said != nil
	})
}

// asked is what the host asks of the operator, in etcd; nil: nothing.
func (h *host) asked() *store.Request {
	h.t.Helper()
	o, _, err := h.client.Get(h.t.Context(), store.RequestKey("h1"))
	if err != nil {
		h.t.Fatal(err)
	}
	r, _ := o.(*store.Request)
	return r
}

func (h *host) offered() (names []string) {
	if r := h.asked(); r != nil {
		for _, o := range r.Offered {
			names = append(names, o.Name)
		}
	}
	return names
}

// TestWrongStoreTouchesNothing takes the right etcd away and lets others serve in its place, under
// the agent and at its start: nothing on the host changes, and with the right one back all goes on.
func TestWrongStoreTouchesNothing(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	h.stamp()
	a, c, stop := h.agent()
	h.attach(c, "alice", "a1")
	backup := backuptest.Save(t, h.endpoints[0])
	h.attach(c, "alice", "a2")
	h.stamp()
	h.judged(a)
	before, ports := h.settled(), h.traces()
	for _, other := range []struct {
		name, dir, says string
		fill            func()
	}{
		{"empty", "empty", "empty or wiped", func() {}},
		{"restored", h.restore("restored", backup, 0), "restored from an older state", func() {}},
		{"restored with --bump-revision", h.restore("bumped", backup, 1_000_000), "lacks stamp 2", func() {}},
		{"foreign", "foreign", "holds store another", func() { h.found("another") }},
	} {
		t.Run(other.name, func(t *testing.T) {
			h.swap(other.dir)
			other.fill()
			for _, when := range []string{"under the agent", "at its start"} {
				if when == "at its start" {
					stop()
					a, c, stop = h.start()
				}
				h.eventually("it holds and says why and what to do", func() bool {
					said := h.holds(a)
					return strings.Contains(said, other.says) && strings.Contains(said, "sluice host adopt h1")
				})
				h.eventually("it asks for a word", func() bool { return h.asked() != nil && h.asked().Leaves == "the-right-one" })
				a.mender.round(t.Context())
				h.refusesAll(a, c, other.says)
				if diff := cmp.Diff(before, h.picture()); diff != "" {
					t.Errorf("%s the host changed: -before +after\n%s", when, diff)
				}
				if live, _, _ := h.client.Get(t.Context(), store.LiveHostKey("h1")); live != nil && other.dir != "restored" && other.dir != "bumped" {
					t.Errorf("%s it registered", when)
				}
			}
			h.swap("etcd")
			h.eventually("it goes on", func() bool { return a.serving.held() == "" && a.registration.ready() != nil })
			if diff := cmp.Diff(ports, h.traces()); diff != "" {
				t.Errorf("with the right etcd back: -before +after\n%s", diff)
			}
			if diff := cmp.Diff(before, h.picture()); diff != "" {
				t.Errorf("with the right etcd back the host changed: -before +after\n%s", diff)
			}
			h.attach(c, "bob", "b1")
			if err := c.Detach(t.Context(), api.DetachRequest{Tenant: "bob", Name: "b1"}); err != nil {
				t.Error(err)
			}
		})
	}
}

// refusesAll: while the agent holds, every request is refused with the reason and what to do.
func (h *host) refusesAll(a *Agent, c *api.Client, says string) {
	h.t.Helper()
	var all errgroup.Group
	box := newContainer(h.t)
	for what, request := range map[string]func(context.Context) error{
		"attach": func(ctx context.Context) error { _, err := c.Attach(ctx, attachTo("alice", "a9", box)); return err },
		"detach": func(ctx context.Context) error {
			return c.Detach(ctx, api.DetachRequest{Tenant: "alice", Name: "a1"})
		},
		"list": func(ctx context.Context) error { _, err := c.List(ctx); return err },
	} {
		all.Go(func() error {
			if err := request(h.t.Context()); err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "sluice host adopt h1") {
				h.t.Errorf("%s while it holds: %v", what, err)
			}
			return nil
		})
	}
	_ = all.Wait()
	st := a.Status()
	if !strings.Contains(st.Store.Held, says) || !strings.Contains(strings.Join(st.Problems, "\n"), "store: this host holds") {
		h.t.Errorf("status does not say that it holds: %+v", st)
	}
}

// TestNoRequestOutlivesItsAgent: what an agent asked for is gone when it has ended, since nobody would
// hear the word.
func TestNoRequestOutlivesItsAgent(t *testing.T) {
	h := newHost(t)
	h.stamp()
	a, _, stop := h.agent()
	h.judged(a)
	h.swap("foreign")
	h.found("another")
	h.eventually("it asks for a word", func() bool { return h.asked() != nil })
	stop()
	if left := h.asked(); left != nil {
		t.Errorf("the request is left: %+v", left)
	}
}

// TestRestoredStoreIsAdopted restores an older state under two ports that are newer: they are
// offered, and come back as they were with the operator's word. What cannot come back is told.
func TestRestoredStoreIsAdopted(t *testing.T) {
	for name, bump := range map[string]uint64{"restored": 0, "with --bump-revision": 1_000_000} {
		t.Run(name, func(t *testing.T) { adoptRestored(t, bump) })
	}
}

// containerEnds are the interfaces of containers, in the switch and in the kernel.
func (h *host) containerEnds() string {
	h.t.Helper()
	links := h.run("ip", "-o", "link")
	var ours []string
	for _, line := range strings.Split(links, "\n") {
		if strings.Contains(line, interfacePrefix) {
			ours = append(ours, line)
		}
	}
	return h.vsctl("--columns=_uuid,name,ofport,external_ids", "find", "interface", "external_ids:sluice-uid!=x") + strings.Join(ours, "\n")
}

func adoptRestored(t *testing.T, bump uint64) {
	h := newHost(t)
	h.realizeAll()
	h.stamp()
	a, c, _ := h.agent()
	h.attach(c, "alice", "a1")
	backup := backuptest.Save(t, h.endpoints[0])
	h.attach(c, "alice", "a2")
	h.attach(c, "alice", "a3")
	h.stamp()
	h.judged(a)
	before := h.containerEnds()
	a2, a3 := h.port("a2"), h.port("a3")

	h.swap(h.restore("restored", backup, bump))
	h.holds(a)
	h.eventually("its ports are offered", func() bool { return slices.Equal(h.offered(), []string{"a2", "a3"}) })
	h.put(store.AllocKey("addresses", "alice", "default", a3.Addresses[0].Addr().String()), &store.Alloc{Owner: "ports/h2/alice/default/x"})
	h.say(store.WordAdopt)
	h.eventually("the store is served, and what cannot come back is offered on", func() bool {
		r := h.asked()
		return r != nil && r.Held == "" && len(r.Offered) == 1 && strings.Contains(r.Offered[0].Problem, "taken by ports/h2/alice/default/x")
	})
	if diff := cmp.Diff(a2, h.port("a2"), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Errorf("a2 is another in the store: -before +after\n%s", diff)
	}
	if got := a.Status().Store; !slices.Equal(got.Offered, []string{"alice/default/a3"}) || got.Held != "" {
		t.Errorf("status: %+v", got)
	}
	if _, err := h.client.Delete(t.Context(), store.AllocKey("addresses", "alice", "default", a3.Addresses[0].Addr().String())); err != nil {
		t.Fatal(err)
	}
	h.say(store.WordAdopt)
	h.eventually("nothing is asked any more", func() bool { return h.asked() == nil })
	if diff := cmp.Diff(a3, h.port("a3"), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Errorf("a3 is another in the store: -before +after\n%s", diff)
	}
	if diff := cmp.Diff(before, h.containerEnds()); diff != "" {
		t.Errorf("the host changed: -before +after\n%s", diff)
	}
	h.judged(a)
	h.attach(c, "alice", "a4")
	if said, _, _ := h.client.Get(t.Context(), store.WordKey("h1")); said != nil {
		t.Errorf("the word is still there: %+v", said)
	}
}

// TestOfferedPortsAreCleaned removes, at the operator's word, what a restored store lacks.
func TestOfferedPortsAreCleaned(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	h.stamp()
	a, c, _ := h.agent()
	empty := h.traces()
	port := h.attach(c, "alice", "a1") // no stamp vouches for it
	h.deletePortKey("a1")
	h.judged(a)
	if got := h.offered(); !slices.Equal(got, []string{"a1"}) {
		t.Errorf("offered: %v", got)
	}
	if links, _ := portLinks(); !links[port.Interface] {
		t.Error("its interface was removed")
	}
	h.say(store.WordClean)
	h.eventually("it is removed", func() bool { return h.asked() == nil })
	if diff := cmp.Diff(empty, h.traces()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestAbsentPortsGoLate: an interface whose port was deleted in the store behind the agent's back
// goes after the quarantine, and a few of them only.
func TestAbsentPortsGoLate(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	h.options.Quarantine = 2 * time.Second
	a, c, _ := h.agent()
	for _, name := range []string{"a1", "a2", "a3", "a4", "a5"} {
		h.attach(c, "alice", name)
	}
	h.stamp()
	h.judged(a)
	count := func() int {
		links, err := portLinks()
		if err != nil {
			t.Fatal(err)
		}
		return len(links)
	}
	h.deletePortKey("a1")
	h.judged(a)
	if got := count(); got != 5 || h.asked() != nil {
		t.Errorf("at once: %d interfaces, asked %+v", got, h.asked())
	}
	h.eventually("it goes", func() bool { a.mender.round(t.Context()); return count() == 4 })
	for _, name := range []string{"a2", "a3", "a4", "a5"} {
		h.deletePortKey(name)
	}
	h.eventually("the others wait for a word", func() bool {
		a.mender.round(t.Context())
		return h.asked() != nil && len(h.asked().Strays) == 4
	})
	time.Sleep(2 * h.options.Quarantine)
	a.mender.round(t.Context())
	if got := count(); got != 4 {
		t.Errorf("after the quarantine: %d interfaces", got)
	}
	h.say(store.WordClean)
	h.eventually("they go", func() bool { return count() == 0 && h.asked() == nil })
}

// TestHostKeyLostIsNoFarewell: a host whose key somebody deleted by hand registers again and keeps
// its ports, which are older than its registration then.
func TestHostKeyLostIsNoFarewell(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	h.options.Quarantine = time.Second
	h.stamp()
	a, c, _ := h.agent()
	h.attach(c, "alice", "a1")
	h.stamp()
	h.judged(a)
	ports, first := h.traces(), a.registration.current().Created
	h.deleteKey(store.HostKey("h1"))
	h.eventually("the host is back", func() bool {
		r := a.registration.ready()
		return r != nil && r.Created > first
	})
	time.Sleep(2 * h.options.Quarantine)
	a.mender.round(t.Context())
	if diff := cmp.Diff(ports, h.traces()); diff != "" {
		t.Errorf("-before +after\n%s", diff)
	}
}

// TestNothingRemembered starts an agent that remembers no store: it believes one that knows it,
// and no other while there is something to lose.
func TestNothingRemembered(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	h.stamp()
	_, c, stop := h.agent()
	h.attach(c, "alice", "a1")
	before := h.settled()
	stop()
	h.run("rm", h.path("state/store.json"))
	_, _, stop = h.agent() // it becomes ready
	stop()
	h.run("rm", h.path("state/store.json"))
	h.swap("empty")
	h.found("another")
	a, _, stop := h.start()
	if said := h.holds(a); !strings.Contains(said, "remembers no store") {
		t.Errorf("it says %q", said)
	}
	if diff := cmp.Diff(before, h.picture()); diff != "" {
		t.Errorf("the host changed: -before +after\n%s", diff)
	}
	stop()
	h.options.Adopt = true
	a, _, _ = h.agent()
	if got := a.Status().Store; got.ID != "another" || !slices.Equal(got.Offered, []string{"alice/default/a1"}) {
		t.Errorf("with --adopt: %+v", got) // the store has no network for the port
	}
}
