package store

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// Words give back the very text, whatever it is, also where the same text comes again and again.
func TestWordsLoseNothing(t *testing.T) {
	texts := []string{
		"", "{}", `{"number":0}`, `{"number":00}`, `{"since":"2026-01-02T03:04:05.006Z","why":"auto: 12 at weight 1","slots":{"h-0001":7,"h-0010":70}}`,
		`{"a":"x,","b":",\"","c":"0007007"}`, `"18446744073709551616000000000000000000000000000001"`, `{"n":-1.50e+07}`, `,"a",,"`, `{"ä":"\u0000"}`,
		`{"why":"` + strings.Repeat("long ", longestWord) + `1"}`,
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		text := ""
		for range r.IntN(60) {
			text += []string{"0", "1", "9", "00", `"`, ",", "x", "{", ",\""}[r.IntN(9)]
		}
		texts = append(texts, text)
	}
	var w words
	packed := make([]string, len(texts))
	for range 3 { // a field that comes again is a word
		for n, text := range texts {
			packed[n] = string(w.pack(nil, []byte(text)))
		}
	}
	for n, text := range texts {
		rest := reader(packed[n])
		if got := string(w.unpack(&rest)); got != text {
			t.Errorf("%q comes back as %q", text, got)
		}
	}
	if packed[4] == "" || len(packed[4]) > 40 {
		t.Errorf("%s takes %d bytes", texts[4], len(packed[4]))
	}
}

// A range of nothing, which null in JSON is read as, has no text: what has it is not packed, since it could not be read again.
func TestRangeOfNothingHasNoText(t *testing.T) {
	var read []AddressRange
	if err := json.Unmarshal([]byte("[null]"), &read); err != nil {
		t.Fatal(err)
	}
	if text, err := json.Marshal(read); err == nil {
		t.Errorf("it is %s", text)
	}
}

// What each object says for itself makes no words, and no more than are meant.
func TestWordsAreBounded(t *testing.T) {
	var w words
	for n := range 2 * mostWords {
		name := strings.Map(func(r rune) rune { return 'a' + r - '0' }, fmt.Sprint(n))
		w.pack(nil, []byte(`{"owner":"`+name+`"}`))
	}
	if len(w.texts) != 0 || len(w.lately) > latelySeen {
		t.Errorf("%d words, %d fields may become some", len(w.texts), len(w.lately))
	}
	for n := range mostWords + 10 {
		name := strings.Map(func(r rune) rune { return 'a' + r - '0' }, fmt.Sprint(n))
		for range 2 {
			w.pack(nil, []byte(`{"owner":"`+name+`"}`))
		}
	}
	if len(w.texts) != mostWords || len(w.numbers) != mostWords {
		t.Errorf("%d words, %d of them found", len(w.texts), len(w.numbers))
	}
	text := `{"owner":"a","limit":7}`
	for range 3 {
		rest := reader(w.pack(nil, []byte(text)))
		if got := string(w.unpack(&rest)); got != text {
			t.Errorf("once all words are made, %s comes back as %s", text, got)
		}
	}
}

// An object is packed while its tenant sleeps, and looks the same.
func TestSleepersArePacked(t *testing.T) {
	since := time.UnixMilli(1_700_000_000_007).UTC()
	objects := []Event{
		{Key: TenantKey("alice"), Object: &Tenant{Number: 7, Gateway: GatewayAuto, Labels: Labels{"team": "x"}, TTL: Duration(time.Hour)}},
		{Key: NetworkKey("alice", "web"), Object: &Network{Number: 9, Segmentation: SegmentationVLAN, Segment: 42, Flood: FloodOff, MTU: 1400}},
		{Key: NetworkKey("alice", DefaultNetwork), Object: &Network{Number: 8, Segmentation: SegmentationTunnel, Segment: 8, Flood: FloodAuto}},
		{Key: GatewayKey("alice"), Object: &Gateway{Active: "h1", Backup: "h2", Epoch: 3, Since: since, Slots: map[string]uint32{"h1": 5}}},
	}
	s := NewState()
	packed := func() int {
		n := 0
		if s.tenants.asleep != nil {
			n += len(s.tenants.asleep.values)
		}
		if s.networks.asleep != nil {
			n += len(s.networks.asleep.values)
		}
		if s.gateways.asleep != nil {
			n += len(s.gateways.asleep.values)
		}
		return n
	}
	for i := range objects {
		objects[i].Created, objects[i].Modified = Revision(10+i), Revision(20+i)
	}
	port := Event{Key: PortKey("h1", "alice", "web", "a1"), Object: &Port{Number: 1}, Created: 30, Modified: 30}
	gone, renewed := Event{Key: port.Key}, objects[1]
	renewed.Modified = 33
	for _, step := range []struct {
		about  string
		events []Event
		packed int
	}{
		{"it comes", objects, 4},
		{"it gets a port", []Event{port}, 0},
		{"its network changes while it has one", []Event{renewed}, 0},
		{"its port goes", []Event{gone}, 4},
		{"a port comes and goes at once", []Event{port, gone}, 4},
		{"a port comes, and its network changes", []Event{renewed, port, renewed}, 0},
		{"its network with the port goes", []Event{{Key: objects[1].Key}}, 3},
		{"and comes back", []Event{renewed}, 0},
	} {
		s.Apply(Batch{Revision: s.Revision() + 1, Events: step.events})
		if got := packed(); got != step.packed {
			t.Errorf("%s: %d objects are packed, want %d", step.about, got, step.packed)
		}
		for _, want := range objects {
			if want.Key == renewed.Key {
				continue
			}
			if got, there := s.Find(want.Key); !there || !sameEvent(got, want) {
				t.Errorf("%s: %s is %+v, want %+v", step.about, want.Key, got, want)
			}
		}
	}
	if s.Network(NetworkName{"alice", "web"}).Value.Segment != 42 || s.TenantName(7) != "alice" || s.TenantByNumber(7).Created != 10 {
		t.Errorf("its network is %+v, and number 7 is %q's", s.Network(NetworkName{"alice", "web"}), s.TenantName(7))
	}
}
