package hostagent

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/vishvananda/netlink/nl"

	"sluice/store"
)

// connectionMessage is what a kernel tells of a connection (ctnetlink, recorded from Linux 6): family and
// version, then the tuple of who opened it, 100.64.0.7, and others.
func connectionMessage(t testing.TB) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll("02000000 34000180 14000180 08000100 64400007 08000200 cb007101 1c000280 05000100 11000000 06000200 d4310000 06000300 13880000", " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// connectedBy is who opened a connection.
func connectedBy(message []byte) netip.Addr {
	return connectionEnd(message, nl.CTA_TUPLE_ORIG, nl.CTA_IP_V4_SRC)
}

func TestConnectionSource(t *testing.T) {
	message := connectionMessage(t)
	if got := connectedBy(message); got != store.DefaultTransit.Address(7) {
		t.Errorf("opened by %v", got)
	}
	other := append(append([]byte{}, message[:4]...), 8, 0, 9, 0, 1, 2, 3, 4, 7, 0, 8, 0, 1, 2, 3, 0) // before it, one of them padded
	if got := connectedBy(append(other, message[4:]...)); got != store.DefaultTransit.Address(7) {
		t.Errorf("with other attributes before, opened by %v", got)
	}
	for n := range len(message) - 32 {
		if got := connectedBy(message[:n]); got.IsValid() {
			t.Errorf("of %d bytes: %v", n, got)
		}
	}
	six := append([]byte{}, message...)
	six[12], six[8] = 20, 32
	if got := connectedBy(six); got.IsValid() {
		t.Errorf("an address of another length: %v", got)
	}
}

// A connection is over in those two of TCP's states in which nftables does not count it.
func TestConnectionClosed(t *testing.T) {
	message := connectionMessage(t)
	if connectionClosed(message) {
		t.Error("one of UDP is closed")
	}
	for state := range byte(12) {
		tcp := append(append([]byte{}, message...), 16, 0, 4, 128, 12, 0, 1, 128, 5, 0, 1, 0, state, 0, 0, 0)
		if got, want := connectionClosed(tcp), state == 7 || state == 8; got != want {
			t.Errorf("state %d: closed %v, want %v", state, got, want)
		}
	}
}

func FuzzConnectionSource(f *testing.F) {
	f.Add(connectionMessage(f))
	f.Fuzz(func(t *testing.T, message []byte) {
		connectionClosed(message)
		if a := connectedBy(message); a.IsValid() && !a.Is4() {
			t.Errorf("%v is no IPv4 address", a)
		}
	})
}

// What a tenant has in the kernel's table is told in one walk over all of it.
func BenchmarkConnectionSource(b *testing.B) {
	message := connectionMessage(b)
	for b.Loop() {
		if !connectedBy(message).IsValid() || connectionClosed(message) {
			b.Fatal("it has no source")
		}
	}
}
