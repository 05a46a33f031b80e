package openflow

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func meterBytes(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A meter mod says its unit in the flags, and that a burst and counters are wanted (OpenFlow 1.3, A.3.4.4).
func TestAppendMeterMod(t *testing.T) {
	m := MeterSpec{ID: 0x1d, Unit: MeterKilobits, Rate: 0x64, Burst: 0x96}
	got := AppendMeterAdd(nil, 7, m)
	want := meterBytes(t, "041d0020 00000007 0000 000d 0000001d 0001 0010 00000064 00000096 00000000")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("add: -want +got\n%s", diff)
	}
	m.Unit = MeterPackets
	want = meterBytes(t, "041d0020 00000007 0001 000e 0000001d 0001 0010 00000064 00000096 00000000")
	if diff := cmp.Diff(want, AppendMeterModify(nil, 7, m)); diff != "" {
		t.Errorf("modify: -want +got\n%s", diff)
	}
}

// What a switch says of its meters (OpenFlow 1.3, A.3.5.13). One that a MeterSpec cannot say is known by its number.
func TestDecodeMeterConfig(t *testing.T) {
	const (
		first    = "0018 000d 0000001d 0001 0010 00000064 00000096 00000000"
		packets  = "0018 000a 0000001e 0001 0010 00000001 00000002 00000000"
		both     = "0018 000f 0000001f 0001 0010 00000001 00000002 00000000"
		remarked = "0018 000d 00000020 0002 0010 00000001 00000002 01000000"
		twoBands = "0028 000d 00000021 0001 0010 00000001 00000002 00000000 0001 0010 00000003 00000004 00000000"
		noBand   = "0008 000d 00000022"
	)
	for _, test := range []struct {
		name, body string
		flags      string
		want       []MeterSpec
		more       bool
		refused    string
	}{
		{"none", "", "0000", nil, false, ""},
		{"several", first + packets, "0001", []MeterSpec{{0x1d, MeterKilobits, 100, 150}, {0x1e, MeterPackets, 1, 2}}, true, ""},
		{"others'", both + remarked + twoBands + noBand, "0000", []MeterSpec{{ID: 0x1f}, {ID: 0x20}, {ID: 0x21}, {ID: 0x22}}, false, ""},
		{"cut in its head", "0018 000d 0000", "0000", nil, false, "a meter needs 8 bytes, 6 are left"},
		{"cut in its band", first[:len(first)-8], "0000", nil, false, "a meter says 24 bytes, 20 are left"},
		{"too short a length", "0007 000d 0000001d", "0000", nil, false, "a meter says 7 bytes, 8 are left"},
	} {
		t.Run(test.name, func(t *testing.T) {
			body := meterBytes(t, test.body)
			message := EndMessage(append(meterBytes(t, "04130000 00000007 000a "+test.flags+" 00000000"), body...), 0)
			got, more, err := DecodeMeterConfig(message)
			if test.refused != "" {
				if err == nil || !strings.Contains(err.Error(), test.refused) {
					t.Errorf("refused with %v, want %q", err, test.refused)
				}
				return
			}
			if err != nil || more != test.more {
				t.Errorf("more %v, err %v", more, err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// A meter mod is read as it was written; one that deletes, or is cut, is refused.
func TestDecodeMeterMod(t *testing.T) {
	m := MeterSpec{ID: 0x1d, Unit: MeterKilobits, Rate: 100, Burst: 150}
	for add, message := range map[bool][]byte{true: AppendMeterAdd(nil, 7, m), false: AppendMeterModify(nil, 7, m)} {
		if got, adds, err := DecodeMeterMod(message); err != nil || adds != add || got != m {
			t.Errorf("add %t: %+v, %t, %v", add, got, adds, err)
		}
	}
	for text, refused := range map[string]string{
		"041d0010 00000007 0002 0000 0000001d":           "has command 2",
		"041d000c 00000007 0000 000d":                    "needs 16",
		"04120010 00000007 0000 0000 0000001d":           "type 18",
		"041d0014 00000007 0000 000d 0000001d 0001 0010": "",
	} {
		if got, _, err := DecodeMeterMod(meterBytes(t, text)); refused == "" && (err != nil || got != MeterSpec{ID: 0x1d}) ||
			refused != "" && (err == nil || !strings.Contains(err.Error(), refused)) {
			t.Errorf("%s: %+v, %v; want %q", text, got, err, refused)
		}
	}
}

// What a switch says of its meters is read as it was written.
func TestAppendMeterConfigReply(t *testing.T) {
	want := []MeterSpec{{0x1d, MeterKilobits, 100, 150}, {0x1e, MeterPackets, 1, 2}}
	got, more, err := DecodeMeterConfig(AppendMeterConfigReply(nil, 7, want, true))
	if err != nil || !more || !cmp.Equal(want, got) {
		t.Errorf("%+v, more %t, %v", got, more, err)
	}
}

// FuzzDecodeMeterMod: no message makes the decoder panic, and what it reads can be written.
func FuzzDecodeMeterMod(f *testing.F) {
	f.Add(AppendMeterAdd(nil, 7, MeterSpec{ID: 1, Unit: MeterPackets, Rate: 2, Burst: 3}))
	f.Fuzz(func(t *testing.T, message []byte) {
		m, _, err := DecodeMeterMod(message)
		if err != nil || m.Unit == 0 {
			return
		}
		if again, _, err := DecodeMeterMod(AppendMeterModify(nil, 1, m)); err != nil || again != m {
			t.Errorf("%+v comes back as %+v, %v", m, again, err)
		}
	})
}

// FuzzDecodeMeterConfig: no message makes the decoder panic, and what it reads can be written.
func FuzzDecodeMeterConfig(f *testing.F) {
	f.Add(meterBytes(f, "04130028 00000007 000a0000 00000000 0018 000d 0000001d 0001 0010 00000064 00000096 00000000"))
	f.Fuzz(func(t *testing.T, message []byte) {
		list, _, err := DecodeMeterConfig(message)
		if err != nil {
			return
		}
		for _, m := range list {
			if b := AppendMeterAdd(nil, 1, m); len(b) != 32 {
				t.Errorf("%+v takes %d bytes", m, len(b))
			}
		}
	})
}
