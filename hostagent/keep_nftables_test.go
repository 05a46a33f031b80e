package hostagent

import (
	"encoding/binary"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A memory that cannot be read is a problem, since the next could not be written either.
func TestMemoryOfTheTable(t *testing.T) {
	dir := t.TempDir()
	n := nftables{o: Options{StateDir: dir}}
	if was, err := n.is(t.Context()); err != nil || was.Frame != "" {
		t.Errorf("nothing was written: it remembers %+v, error %v", was, err)
	}
	if err := os.Mkdir(filepath.Join(dir, "nftables.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := n.is(t.Context()); err == nil {
		t.Error("a memory that cannot be read is no problem")
	}
}

// TestAThousandHosts puts the addresses of many hosts into the table, and then changes a few: the
// rest of the table stays as it is, rule by rule, and what nft lists is what is wanted.
func TestAThousandHosts(t *testing.T) {
	requireOVS(t)
	t.Cleanup(func() { exec.Command("nft", "delete", "table", "inet", tableName).Run() })
	h := &host{t: t}
	known := &infrastructure{now: members{Told: true}}
	n := nftables{
		o:        Options{Gateway: true, StateDir: t.TempDir(), Uplink: "eth0", Encap: "vxlan", VTEP: netip.MustParseAddr("10.0.0.1")},
		underlay: &underlay{}, infrastructure: known, published: &published{}, log: slog.New(slog.DiscardHandler),
	}
	try := func() (listing string) {
		t.Helper()
		if err := keep(n)(t.Context()); err != nil {
			t.Fatal(err)
		}
		return h.run("nft", "-a", "list", "table", "inet", tableName)
	}
	for i := range uint32(4000) {
		a := netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, 10<<24+i+2)))
		known.now.Closed = append(known.now.Closed, a)
		if i%4 == 0 {
			known.now.Peers = append(known.now.Peers, a)
		}
	}
	first := try()
	for _, want := range []string{"10.0.0.2", "10.0.15.161"} {
		if !strings.Contains(first, want) {
			t.Errorf("%s is not closed", want)
		}
	}
	if try() != first {
		t.Error("the second look changed the table")
	}
	known.now.Closed = append(known.now.Closed[1:], netip.MustParseAddr("192.0.2.77"))
	known.now.Peers = known.now.Peers[2:]
	second := try()
	if rulesOf(first) != rulesOf(second) {
		t.Error("the rules were written anew for the sake of some elements")
	}
	if !strings.Contains(second, "192.0.2.77") || strings.Contains(second, "10.0.0.2,") || strings.Contains(second, "10.0.0.2 }") {
		t.Error("the elements are not what they should be")
	}
	if try() != second {
		t.Error("the look after it changed the table")
	}
}

// rulesOf are the lines of a listing with handles that are rules or chains.
func rulesOf(listing string) string {
	var rules []string
	for line := range strings.Lines(listing) {
		if strings.Contains(line, "# handle") {
			rules = append(rules, line)
		}
	}
	return strings.Join(rules, "")
}
