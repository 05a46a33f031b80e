package hostagent

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sluice/store"
)

// TestSortStrays gives an interface of no port each history that it can have.
func TestSortStrays(t *testing.T) {
	const iface = "sl-aaaaaaaaaaaa"
	const long = 10 * time.Minute
	vouched := &record{Vouched: true}
	for _, c := range []struct {
		name   string
		known  *record
		gone   bool // its link is, with the container
		absent time.Duration
		want   string
	}{
		{"unknown, just seen", nil, false, 0, "waits"},
		{"unknown, nearly long enough", nil, false, long - 1, "waits"},
		{"unknown, long enough", nil, false, long, "goes"},
		{"the store had the port and lost nothing since", vouched, false, long - 1, "waits"},
		{"so for long enough", vouched, false, long, "goes"},
		{"the store may have lost the port", &record{}, false, 0, "offered"},
		{"however long that is", &record{}, false, 100 * long, "offered"},
		{"its detach was asked for", &record{Leaving: true}, false, 0, "goes"},
		{"so, and vouched for", &record{Leaving: true, Vouched: true}, false, 0, "goes"},
		{"its container is gone", &record{}, true, long - 1, ""},
		{"its container is gone, long enough", &record{}, true, long, "goes"},
		{"nobody's row in the switch", nil, true, long - 1, ""},
		{"nobody's row in the switch, long enough", nil, true, long, "goes"},
	} {
		known := map[string]record{}
		if c.known != nil {
			c.known.Port.Interface = iface
			known[iface] = *c.known
		}
		s := sortStrays([]string{iface}, map[string]bool{iface: !c.gone}, known, map[string]time.Duration{iface: c.absent}, long, 20)
		got := ""
		for what, n := range map[string]int{"goes": len(s.remove), "offered": len(s.offered), "waits": len(s.waiting), "stray": len(s.strays)} {
			if n > 0 {
				got += what
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// More than three interfaces, and more than a fifth of the host's, are not removed without a word.
func TestManyStraysWaitForAWord(t *testing.T) {
	for _, c := range []struct {
		strays, ports int
		held          bool
	}{
		{1, 0, false}, {3, 0, false}, {4, 0, true}, {4, 15, true}, {4, 16, false}, {5, 20, false}, {6, 20, true}, {40, 160, false}, {41, 160, true},
	} {
		for _, age := range []time.Duration{0, time.Hour} {
			var strays []string
			links, absent := map[string]bool{}, map[string]time.Duration{}
			for n := range c.strays {
				iface := fmt.Sprintf("sl-%d", n)
				strays, links[iface], absent[iface] = append(strays, iface), true, age
			}
			s := sortStrays(strays, links, nil, absent, time.Minute, c.ports)
			switch {
			case c.held && len(s.strays) == c.strays && len(s.remove)+len(s.waiting) == 0:
			case !c.held && age == 0 && len(s.waiting) == c.strays && len(s.remove)+len(s.strays) == 0:
			case !c.held && age > 0 && len(s.remove) == c.strays && len(s.waiting)+len(s.strays) == 0:
			default:
				t.Errorf("%d strays beside %d ports, absent for %v: %+v", c.strays, c.ports, age, s)
			}
		}
	}
}

// The time of an absence begins anew whenever it was interrupted: by the port, or by a store
// that was not known to be right.
func TestAbsenceIsWithoutInterruption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a absences
		right := time.Now()
		noted := func(after time.Duration, strays ...string) map[string]time.Duration {
			time.Sleep(after)
			return a.note(strays, right, time.Now())
		}
		wants := func(what string, got, want map[string]time.Duration) {
			t.Helper()
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: -want +got\n%s", what, diff)
			}
		}
		wants("the first time", noted(time.Minute, "x"), map[string]time.Duration{"x": 0})
		wants("a minute later, beside another", noted(time.Minute, "x", "y"), map[string]time.Duration{"x": time.Minute, "y": 0})
		wants("y has its port back", noted(time.Minute, "x"), map[string]time.Duration{"x": 2 * time.Minute})
		wants("and lost it again", noted(time.Minute, "x", "y"), map[string]time.Duration{"x": 3 * time.Minute, "y": 0})
		time.Sleep(time.Second)
		right = time.Now()
		wants("the store was doubted", noted(time.Minute, "x", "y"), map[string]time.Duration{"x": 0, "y": 0})
		wants("and is right since", noted(time.Minute, "x", "y"), map[string]time.Duration{"x": time.Minute, "y": time.Minute})
	})
}

func TestRecordsOutliveTheAgent(t *testing.T) {
	dir := t.TempDir()
	open := func() *records {
		r, err := openRecords(dir)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	done := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	one := func(name, uid string, created store.Revision) record {
		return recordOf(store.PortKey("h1", "alice", "default", name),
			&store.Port{UID: uid, Interface: portInterface(uid), Number: 7, MAC: store.MAC{2, 0, 0, 0, 0, 1}, Addresses: prefixes("10.0.0.5/24")}, created)
	}
	first, second, third := one("a1", "aaaaaaaaaaaa", 5), one("a2", "bbbbbbbbbbbb", 9), one("a3", "cccccccccccc", 9)
	second.Vouched = true
	r := open()
	for _, x := range []record{first, second, third} {
		done(r.keep(x))
		done(r.keep(x))
	}
	wants := func(what string, list ...record) {
		t.Helper()
		want := map[string]record{}
		for _, x := range list {
			want[x.Port.Interface] = x
		}
		for when, got := range map[string]*records{"now": r, "after a restart": open()} {
			if diff := cmp.Diff(want, got.known(), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
				t.Errorf("%s, %s: -want +got\n%s", what, when, diff)
			}
		}
	}
	wants("kept", first, second, third)
	done(r.forget(third.Port.Interface))
	done(r.forget(third.Port.Interface))
	wants("one forgotten", first, second)
	done(r.dismiss(9))
	first.Leaving = true
	wants("the host was deleted at 9", first, second)
	done(r.unvouch())
	second.Vouched = false
	wants("the store was left", first, second)
	done(r.leaving(second.Port.Interface))
	done(r.leaving("sl-unknown"))
	second.Leaving = true
	wants("a detach was asked for", first, second)
}
