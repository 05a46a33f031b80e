package controller_test

import (
	"io"
	"net"
	"strings"
	"testing"

	"sluice/controller"
	"sluice/datapath/openflow"
	"sluice/store"
)

// stranger dials in as the switch of a datapath id, and says no more.
func stranger(t *testing.T, target string, id store.DatapathID) {
	t.Helper()
	conn, err := net.Dial("unix", strings.TrimPrefix(target, "unix:"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	said := openflow.AppendHello(nil, 1)
	said = openflow.AppendFeaturesReply(said, 2, openflow.Features{DatapathID: uint64(id)})
	_, _ = conn.Write(said) // fails where the connection has made room for another by then
	go func() { _, _ = io.Copy(io.Discard, conn) }()
}

// However many switches dial in that nobody knows, a host's own gets in and is programmed; the
// status key stays small, and tells how many are left out.
func TestFloodOfUnknownSwitches(t *testing.T) {
	b := newBench(t)
	const room, many = 100, 400
	c := b.startWith("c1", "c1.sock", func(o *controller.Options) { o.Session.Strangers = room })
	for n := range store.DatapathID(many) {
		stranger(t, c.target, 0xf000+n)
	}
	total := func() int {
		u := c.Unknown()
		return len(u.Unknown) + u.UnknownMore
	}
	b.eventually("as many are left as there is room for", func() bool {
		return total() == room && c.count(t, "sluice_strangers_dropped_total") == many-room
	})
	if n := c.count(t, "sluice_unknown_switches"); n != room {
		t.Errorf("the metric says %v", n)
	}
	b.bridge(c.target)
	b.register()
	b.tenant("alice")
	b.realized(b.port("alice", "a1", "aaaaaaaaaaaa", true))
	b.inSync(c)
	b.eventually("etcd is told", func() bool {
		o, _, err := b.store.Get(b.ctx, store.StatusControllerKey("c1"))
		if err != nil {
			t.Fatal(err)
		}
		floor, ok := o.(*store.StatusController)
		if !ok || len(floor.Unknown)+floor.UnknownMore != total() {
			return false
		}
		value, err := store.Encode(floor)
		if err != nil || len(floor.Unknown) != 20 || len(value) > 1000 {
			t.Errorf("the floor is %s, %v", value, err)
		}
		return true
	})
}
