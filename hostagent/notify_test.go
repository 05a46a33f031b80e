package hostagent

import (
	"context"
	"log/slog"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestTheTableIsMendedAtOnce edits nftables in every way that opens a gateway host, with a keeper
// that looks by itself once an hour: it hears of each edit.
func TestTheTableIsMendedAtOnce(t *testing.T) {
	requireOVS(t)
	t.Cleanup(func() { exec.Command("nft", "delete", "table", "inet", tableName).Run() })
	h := &host{t: t}
	var writes lines
	table := nftables{
		o: Options{Gateway: true, StateDir: t.TempDir(), Uplink: "eth0"}, underlay: &underlay{}, infrastructure: &infrastructure{}, published: &published{}, due: newBell(),
		log: slog.New(slog.NewTextHandler(&writes, nil)),
	}
	var atRest atomic.Bool
	m := newMender(newProblems(h.log()), func() bool { return true }, func() bool { return true })
	m.keepers = []keeper{{name: "nftables", try: keep(table), wait: func(ctx context.Context) {
		atRest.Store(len(table.due) == 0)
		table.due.wait(ctx, time.Hour)
		atRest.Store(false)
	}}}
	ctx, stop := context.WithCancel(t.Context())
	listening := make(chan struct{})
	go func() { m.run(ctx); close(listening) }()
	go nftablesNotifications.listen(ctx, table.due)
	t.Cleanup(func() { stop(); <-listening })

	stands := func() bool {
		listed, err := listRuleset(ctx)
		return err == nil && strings.Contains(listed, "tenants do not reach the host") && strings.Contains(listed, "masquerade")
	}
	h.eventually("the table is written, and heard", func() bool { return stands() && atRest.Load() })
	edits := []string{
		"flush ruleset",
		"delete table inet sluice",
		"flush chain inet sluice input",
		"flush table inet sluice",
		"add rule inet sluice forward accept",
		"insert rule inet sluice input accept",
		"add element inet sluice infrastructure { 198.51.100.0/24 }",
		"add chain inet sluice other",
	}
	for _, edit := range edits {
		before := h.run("nft", "list", "ruleset")
		h.run("nft", edit)
		h.eventually(edit+" is undone", func() bool {
			return stands() && h.run("nft", "list", "ruleset") == before && atRest.Load()
		})
	}
	if got, want := writes.Load(), int64(1+len(edits)); got != want {
		t.Errorf("the table was written %d times, want %d: hearing of one's own write is no reason for another", got, want)
	}
}

// lines counts what is logged.
type lines struct{ atomic.Int64 }

func (l *lines) Write(b []byte) (int, error) {
	l.Add(1)
	return len(b), nil
}

// TestOfOurTable reads messages as the kernel sends them: header, then the table's name.
func TestOfOurTable(t *testing.T) {
	const newRule, delTable = unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_NEWRULE, unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_DELTABLE
	for _, c := range []struct {
		name string
		kind uint16
		data string
		want bool
	}{
		{"a rule in our table", newRule, "\x01\x00\x00\x01\x0b\x00\x01\x00sluice\x00\x00", true},
		{"our table is gone", delTable, "\x01\x00\x00\x01\x0b\x00\x01\x00sluice\x00\x00", true},
		{"a table of that name in another family", newRule, "\x02\x00\x00\x01\x0b\x00\x01\x00sluice\x00\x00", false},
		{"another table", newRule, "\x01\x00\x00\x01\x0c\x00\x01\x00sluice2\x00", false},
		{"the end of a transaction", unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_NEWGEN, "\x01\x00\x00\x01\x0b\x00\x01\x00sluice\x00\x00", false},
		{"an attribute longer than the message", newRule, "\x01\x00\x00\x01\xff\x00\x01\x00sluice\x00\x00", false},
		{"an attribute shorter than its header", newRule, "\x01\x00\x00\x01\x02\x00\x01\x00sluice\x00\x00", false},
		{"nothing behind the header", newRule, "\x01\x00\x00\x01", false},
	} {
		m := syscall.NetlinkMessage{Header: syscall.NlMsghdr{Type: c.kind}, Data: []byte(c.data)}
		if got := ofOurTable(m); got != c.want {
			t.Errorf("%s: of our table %v, want %v", c.name, got, c.want)
		}
	}
}

// TestLostNotifications overruns a listener: it looks again, and goes on listening.
func TestLostNotifications(t *testing.T) {
	requireOVS(t)
	t.Cleanup(func() { exec.Command("nft", "delete", "table", "inet", "other").Run() })
	h := &host{t: t}
	read := make(chan struct{}) // while nobody reads it, messages pile up
	n := nftablesNotifications
	n.concern = func(syscall.NetlinkMessage) bool { <-read; return false }
	b := newBell()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { n.listen(ctx, b); close(ended) }()
	t.Cleanup(func() { stop(); <-ended })
	<-b // it listens
	h.run("sh", "-c", "{ echo add table inet other; echo add set inet other s '{ type ipv4_addr; }'; for a in $(seq 250); do for b in $(seq 40); do echo add element inet other s { 10.0.$a.$b }; done; done; } | nft -f -")
	close(read)
	<-b
}
