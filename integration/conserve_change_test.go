package integration

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"sluice/controller/client"
)

// joined is one more tenant of it, with a container on each of some hosts.
func (w *conservation) joined(name string, hosts []string, args ...string) *conserved {
	w.Helper()
	tenant(w.T, name, args...)
	of := &conserved{name: name, number: answer[client.Tenant](w.T, "tenant", "show", name).Number}
	w.tenants = append(w.tenants, of)
	for _, h := range hosts {
		w.attach(of, h)
	}
	return of
}

// counted waits until all that was sent so far is counted, and looks all the while whether a sum falls. Each change
// of flows is followed by it, while the traffic goes on.
func (w *conservation) counted(what string, streams ...*datagrams) {
	w.Helper()
	sent := int64(0)
	for _, s := range streams {
		sent += s.sent.Load()
	}
	eventually(w.T, what+": what was sent is counted", func() error {
		told := int64(0)
		for _, of := range w.tenants {
			is := toldOf(w.T, w.st, of.name)
			if fell := is.fell(of.was); len(fell) > 0 {
				w.Fatalf("%s: sums of %s fell: %v", what, of.name, fell)
			}
			of.was = is
			told += is.allOut().packets + is.refusedAll()
		}
		if told < sent {
			return fmt.Errorf("of %d packets %d", sent, told)
		}
		return nil
	})
}

// begins waits until all that was sent is counted, and takes how each tenant stands then as what it is compared with later: what a
// new container sends before the switch knows its port is nobody's.
func (w *conservation) begins() {
	w.Helper()
	w.mark()
	eventually(w.T, "all is counted before it begins", func() (err error) {
		for _, of := range w.tenants {
			l := w.look(of)
			if l.says.drops["spoofed"] < of.spoofed {
				err = errors.Join(err, fmt.Errorf("its %d marks are not counted yet: %v", of.spoofed, l))
			}
			of.nowhere, of.late = of.nowhere.plus(l.nowhere), l.says.late()
		}
		return err
	})
}

// answersEach is how many frames of a container the switch answers, at most, before its neighbours are known.
const answersEach = 10

// ended ends the streams, and waits until what was sent and got is in the sums, of all classes together: what was sent just before a
// change may count as what the flow did after it. late is how much of what was got may count for nobody, or for somebody
// who did not get it, since who gets it changed.
func (w *conservation) ended(what string, late int64, streams ...*datagrams) {
	w.Helper()
	var sent, came int64
	for _, s := range streams {
		sent += s.end()
		came += s.came.Load()
	}
	w.mark()
	eventually(w.T, what, func() (err error) {
		lost := w.losses() - w.before
		for _, of := range w.tenants {
			err = errors.Join(err, w.look(of).holds(lost, late))
		}
		return err
	})
	w.Logf("%s: %d were sent, %d came", what, sent, came)
	for _, of := range w.tenants {
		w.Logf("%v", w.look(of))
	}
}

// holds says what of a tenant's sums is not what its containers sent and got.
func (l look) holds(lost, late int64) error {
	limited := l.says.drops["rate"] // these counted as sent already, and where both ends are on one host as got
	counted := l.says.allOut().packets + l.says.refusedAll() - limited
	unsaid, ungot := l.is.sent.packets-counted, l.is.got.minus(l.says.allIn()).packets
	most := answersEach * int64(len(l.of.alive))
	switch {
	case l.says.drops["spoofed"] < l.of.spoofed-lost:
		return fmt.Errorf("its %d marks are not counted yet: %v", l.of.spoofed, l)
	case unsaid < -l.late || unsaid > most+lost:
		return fmt.Errorf("%d packets were sent and not counted, %d may be answered: %v", unsaid, most, l)
	case ungot < -late-limited || ungot > most+late:
		return fmt.Errorf("%d packets were got and not counted, %d may be: %v", ungot, most+late, l)
	case late == 0 && limited == 0 && !l.nowhere.between(-l.late, lost):
		return fmt.Errorf("%v", l)
	}
	return nil
}

// settled waits until a tenant's gateway is at rest on a host.
func settled(t *testing.T, tenant, host string) {
	t.Helper()
	eventually(t, "the gateway of "+tenant+" rests on "+host, func() error {
		if g := gatewayOf(t, tenant); g.Active != host || g.Move != nil {
			return fmt.Errorf("it is %+v", g.Gateway)
		}
		return nil
	})
}

// The flows of ports become others while they are sent by: frames go another way, and are bounded, and are not any more.
func TestPortsChangeUnderTheirTraffic(t *testing.T) {
	w := newConservation(t)
	of := w.joined("changing", []string{"h1", "h2", "h1"}, "--gateway", "h3")
	a, b, c := of.alive[0], of.alive[1], of.alive[2]
	settled(t, of.name, "h3")
	w.begins()
	streams := []*datagrams{streaming(t, a, b), streaming(t, b, c), streaming(t, c, a)} // over tunnels, and on one host
	w.counted("at first", streams...)
	for _, change := range [][]string{
		{"--topology", "star"}, {"--limit-port-egress-kbps", "100000"}, {"--limit-port-egress-kbps", "500"}, {"--topology", "direct"},
		{"--limit-port-egress-kbps", "300"}, {"--limit-port-egress-kbps", "0"},
	} {
		sluice(t, append([]string{"tenant", "set", of.name}, change...)...)
		w.counted(fmt.Sprint(change), streams...)
	}
	w.ended("all is counted after all changes", 0, streams...)
	if of.was.drops["rate"] == 0 {
		t.Errorf("no limit dropped anything: %v", of.was)
	}
}

// Two tenants talk while they agree to, and go on trying when one takes its word back: what is refused then is counted as that.
func TestAPeeringEndsUnderItsTraffic(t *testing.T) {
	w := newConservation(t)
	one := w.joined("agreed-a", []string{"h1"}, "--subnet", "10.41.0.0/24", "--gateway", "h3")
	other := w.joined("agreed-b", []string{"h1", "h2"}, "--subnet", "10.42.0.0/24", "--gateway", "h3")
	a, near, far := one.alive[0], other.alive[0], other.alive[1]
	w.begins()
	streams := []*datagrams{streaming(t, a, near), streaming(t, a, far), streaming(t, far, a)}
	w.counted("before they agree", streams...)
	late, marked := int64(0), sentBy(streams)
	changed := func(what string, done func() error) {
		t.Helper()
		eventually(t, what, done)
		late += sentBy(streams) - marked
		marked = sentBy(streams)
		w.counted(what, streams...)
	}
	for range 2 {
		sluice(t, "peer", one.name, other.name)
		sluice(t, "peer", other.name, one.name)
		before := cameTo(streams)
		changed("they talk", func() error { return more(before, cameTo(streams)) })
		sluice(t, "unpeer", one.name, other.name)
		var last []int64
		changed("they do not any more", func() error {
			now := cameTo(streams)
			same := slices.Equal(last, now)
			if last = now; !same {
				return errors.New("some still come")
			}
			return nil
		})
	}
	w.ended("all is counted after two peerings", late, streams...)
	for _, of := range w.tenants {
		if of.was.out["peering"].packets == 0 || of.was.in["peering"].packets == 0 || of.was.refusedAll() == 0 {
			t.Errorf("%s: %v", of.name, of.was)
		}
	}
}

func sentBy(streams []*datagrams) (n int64) {
	for _, s := range streams {
		n += s.sent.Load()
	}
	return n
}

func cameTo(streams []*datagrams) (each []int64) {
	for _, s := range streams {
		each = append(each, s.came.Load())
	}
	return each
}

// more fails while one of some numbers is not more than it was.
func more(was, is []int64) error {
	for i := range was {
		if is[i] <= was[i] {
			return fmt.Errorf("%v came, and %v before", is, was)
		}
	}
	return nil
}
