package datapath

import (
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Where there are too many the oldest goes of the address that has most.
func TestStrangers(t *testing.T) {
	for _, c := range []struct {
		name, come, gone string
	}{
		{"as many as there may be", "a1 a2 b1 c1", ""},
		{"one address drives out its own", "a1 a2 a3 a4 a5 a6", "a1 a2"},
		{"another one gets in", "a1 a2 a3 a4 b1", "a1"},
		{"and stays, however many come", "a1 a2 a3 a4 b1 a5 a6 a7", "a1 a2 a3 a4"},
		{"of two that have as many, the older one's goes", "b1 a1 a2 b2 c1", "b1"},
		{"of many that have one, the oldest", "d1 c1 b1 a1 e1", "d1"},
		{"who left makes room", "a1 a2 a3 a4 -a1 b1", ""},
		{"who left twice makes room once", "a1 a2 a3 a4 -a1 -a1 b1 c1", "a2"},
		{"who was ended leaves no room besides", "a1 a2 a3 a4 b1 -a1 c1", "a1 a2"},
	} {
		var gone []string
		told := 0
		s := newStrangers(4, func() { told++ })
		leave := map[string]func(){}
		for _, name := range strings.Fields(c.come) {
			if name[0] == '-' {
				leave[name[1:]]()
				continue
			}
			leave[name] = s.enter(name[:1], func(err error) {
				if !errors.Is(err, errCrowded) {
					t.Errorf("%s: %s was ended with %v", c.name, name, err)
				}
				gone = append(gone, name)
			})
		}
		if got := strings.Join(gone, " "); got != c.gone || told != len(gone) {
			t.Errorf("%s: ended were %q, want %q; %d were told", c.name, got, c.gone, told)
		}
		for _, f := range leave {
			f()
		}
		if s.count != 0 || len(s.from) != 0 {
			t.Errorf("%s: when all have left there are %d, from %d addresses", c.name, s.count, len(s.from))
		}
	}
}

func TestSource(t *testing.T) {
	tcp := func(text string) net.Addr {
		a, err := net.ResolveTCPAddr("tcp", text)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for _, c := range []struct {
		remote net.Addr
		want   string
	}{
		{tcp("192.0.2.1:1234"), "192.0.2.1"},
		{tcp("[::ffff:192.0.2.1]:99"), "192.0.2.1"},
		{tcp("[2001:db8:1:2:3:4:5:6]:99"), "2001:db8:1:2::/64"},
		{tcp("[fe80::1%lo]:99"), "fe80::/64"},
		{&net.UnixAddr{Net: "unix", Name: "@"}, "unix"},
	} {
		if got := source(c.remote); got != c.want {
			t.Errorf("%s is from %s, want %s", c.remote, got, c.want)
		}
	}
}

// Strangers fill no log: one line a second, and a few more.
func TestLinesAboutStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stranger, known := newStrangers(4, nil), &Switch{}, &Switch{}
		known.recognized.Store(true)
		shown := func(of *Switch, lines int) (n int) {
			for range lines {
				if s.level(of, slog.LevelWarn) == slog.LevelWarn {
					n++
				}
			}
			return n
		}
		if few, more := shown(stranger, 20), shown(stranger, 100); few != 20 || more != 0 {
			t.Errorf("of 20 lines %d are shown, and of 100 more %d", few, more)
		}
		if n := shown(known, 100); n != 100 {
			t.Errorf("of a switch of ours %d of 100 lines are shown", n)
		}
		time.Sleep(3 * time.Second)
		if n := shown(stranger, 100); n != 3 {
			t.Errorf("after three seconds %d lines are shown", n)
		}
	})
}
