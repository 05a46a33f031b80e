package bench

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// checkFlood wants round trips and attaches beside each kind of flood, and that it was one.
func checkFlood(t *testing.T, results []Result) {
	want, got := map[[2]string]bool{}, map[[2]string]bool{}
	for _, kind := range floodKinds {
		want[[2]string{"round trip", kind.name}], want[[2]string{"attach", kind.name}] = true, true
	}
	for _, r := range results {
		got[[2]string{r.Params["what"].(string), r.Params["flood"].(string)}] = true
		if r.Median <= 0 || r.Reference == nil || r.Reference.Median <= 0 || len(r.Facts) != 1 || r.Facts[0].Value < 1000 {
			t.Errorf("%+v", r)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("measured: -want +got\n%s", diff)
	}
}

// A header of IPv4 whose checksum is known.
func TestChecksum(t *testing.T) {
	if got := checksum([]byte{0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0, 0, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7}); got != 0xb861 {
		t.Errorf("the checksum is %#x, want 0xb861", got)
	}
}
