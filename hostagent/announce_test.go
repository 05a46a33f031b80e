package hostagent

import (
	"encoding/hex"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/store"
)

// The frames are those that arping -U and ndsend make, byte by byte; the checksum of the second is right if
// its sum over all with it is 0.
func TestAnnouncements(t *testing.T) {
	p := &store.Port{MAC: store.MAC{2, 0, 0, 0, 0, 7}, Addresses: prefixes("10.0.0.7/24", "fd00::7/64")}
	neighbour := store.MAC{2, 0, 0, 0, 0, 9}
	arp := "02000000000708060001080006040001" + "020000000007" + "0a000007" + "000000000000" + "0a000007"
	na := "333300000001" + "020000000007" + "86dd" + "60000000" + "0020" + "3aff" + "fd000000000000000000000000000007" + "ff020000000000000000000000000001"
	got := announcements(p, []store.MAC{everybody, neighbour})
	if len(got) != 3 {
		t.Fatalf("%d frames", len(got))
	}
	want := []string{"ffffffffffff" + arp, "020000000009" + arp, na + "8800"}
	texts := []string{hex.EncodeToString(got[0]), hex.EncodeToString(got[1]), hex.EncodeToString(got[2][:56])}
	if diff := cmp.Diff(want, texts); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	message := got[2][54:]
	if rest := hex.EncodeToString(message[4:]); rest != "20000000"+"fd000000000000000000000000000007"+"0201020000000007" {
		t.Errorf("the advertisement says %s", rest)
	}
	if sum := checksumICMPv6(netip.MustParseAddr("fd00::7"), netip.IPv6LinkLocalAllNodes(), message); sum != 0 {
		t.Errorf("the checksum is wrong by %#x", sum)
	}
}
