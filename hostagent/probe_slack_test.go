package hostagent

import (
	"maps"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/datapath/ovsdb"
	"sluice/store"
)

// The interval grows at once to what the switch was late by, and at most to slackMost; it is halved after each slackCalm without need.
func TestSlack(t *testing.T) {
	const every = 100 * time.Millisecond
	start := time.Now()
	var s slack
	for _, tt := range []struct {
		after   time.Duration // since the start
		late    time.Duration
		changed bool
		want    time.Duration
	}{
		{0, 0, false, every},
		{0, 100 * time.Millisecond, false, every},
		{time.Second, 101 * time.Millisecond, true, 200 * time.Millisecond},
		{2 * time.Second, 0, false, 200 * time.Millisecond},
		{10 * time.Second, 350 * time.Millisecond, true, 400 * time.Millisecond},
		{60 * time.Second, 300 * time.Millisecond, false, 400 * time.Millisecond}, // as much is needed again
		{119 * time.Second, 0, false, 400 * time.Millisecond},
		{120 * time.Second, 200 * time.Millisecond, true, 200 * time.Millisecond},
		{121 * time.Second, time.Hour, true, 800 * time.Millisecond},
		{181 * time.Second, 0, true, 400 * time.Millisecond},
		{240 * time.Second, 0, false, 400 * time.Millisecond},
		{241 * time.Second, 0, true, 200 * time.Millisecond},
		{301 * time.Second, 0, true, every},
		{900 * time.Second, 0, false, every},
	} {
		if got := s.late(tt.late, every, start.Add(tt.after)); got != tt.changed || s.of(every) != tt.want {
			t.Errorf("late by %s after %s: %t, every %s; want %t, every %s", tt.late, tt.after, got, s.of(every), tt.changed, tt.want)
		}
	}
	var slow slack
	if slow.late(time.Hour, store.MaxProbeInterval, start) || slow.of(store.MaxProbeInterval) != store.MaxProbeInterval {
		t.Errorf("an interval above the most becomes %s", slow.of(store.MaxProbeInterval))
	}
}

// A dead host that is heard with the most slack is dead for the switches before the leader makes its backup active, 10 s later.
func TestSlackEndsBeforeTheLeaderActs(t *testing.T) {
	if most := store.ProbesMissed * slackMost; most >= 10*time.Second {
		t.Errorf("a dead host is found after %s", most)
	}
}

func TestProbing(t *testing.T) {
	busy := slacks{hear: slack{doubled: 1}, say: slack{doubled: 2}}
	for _, tt := range []struct {
		s            slacks
		gateway, cut bool
		tx, rx       string
	}{
		{slacks{}, true, false, "100", "100"},
		{busy, true, true, "400", "200"},
		{slacks{}, false, false, "100", "1000"},
		{busy, false, false, "400", "1000"},
	} {
		want := map[string]string{"enable": "true", "mult": "4", "min_tx": tt.tx, "min_rx": tt.rx, "cpath_down": strconv.FormatBool(tt.cut)}
		if diff := cmp.Diff(want, probing(100*time.Millisecond, tt.s, tt.gateway, tt.cut)); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", tt, diff)
		}
	}
}

// Only probes that are raised are changed, and those that are not as they should be.
func TestMistuned(t *testing.T) {
	p := &probes{interval: 100 * time.Millisecond, gateways: map[string]string{"right": "h1", "early": "h2"}, slacks: slacks{hear: slack{doubled: 1}}}
	port := func(name string, bfd map[string]string) *ovsdb.Port {
		return &ovsdb.Port{Interface: ovsdb.Interface{Name: name, BFD: bfd}}
	}
	early := maps.Clone(p.probing("early"))
	early["min_rx"] = "100"
	is := map[string]*ovsdb.Port{"right": port("right", p.probing("right")), "early": port("early", early), "plain": port("plain", p.probing("plain")),
		"silent": port("silent", silent()), "gone": nil}
	all := p.mistuned(is)
	if len(all) != 1 || all[0].Name != "early" || !maps.Equal(all[0].BFD, p.probing("early")) {
		t.Errorf("mistuned are %+v", all)
	}
	if p.interval = 0; len(p.mistuned(is)) > 0 {
		t.Error("probes are changed before it is known how often they go")
	}
}

// What a process waited for a processor is what is new since it was asked last, and nothing of a process before.
func TestSayer(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/ovs-vswitchd.pid", []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := dir + "/schedstat"
	s := sayer{runDir: dir, pid: "1", file: file, waited: time.Second}
	if err := os.WriteFile(file, []byte("5 1200000000 7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, want := range []time.Duration{200 * time.Millisecond, 0} {
		if got := s.late(); got != want {
			t.Errorf("it waited %s, want %s", got, want)
		}
	}
	if err := os.WriteFile(dir+"/ovs-vswitchd.pid", []byte("none\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := s.late(); got != 0 || s.file != "" {
		t.Errorf("of another process it is %s, by %q", got, s.file)
	}
}

// A switch that answers late has its probes heard less often. Open vSwitch has a thread that sends probes, whose waiting can be told.
func TestBusySwitchHearsLessOften(t *testing.T) {
	h := newHost(t)
	if _, err := h.client.RegisterHost(t.Context(), "other", store.Host{Incarnation: "other", DatapathID: datapathID("other"),
		VTEPs: []netip.Addr{netip.MustParseAddr("172.30.0.9")}, Encap: "geneve", Gateway: true}); err != nil {
		t.Fatal(err)
	}
	h.start()
	h.realizeAll()
	spec := store.FailOverSpec{On: true}
	if _, err := h.client.Decide(t.Context(), spec.Propose, spec.Needs()...); err != nil {
		t.Fatal(err)
	}
	bfd := func() string {
		text, err := h.ovs().VSCtl(t.Context(), "--if-exists", "get", "interface", store.ProbeInterface("other"), "bfd")
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	h.eventually("the probe is raised", func() bool { return strings.Contains(bfd(), `min_rx="`) })
	pid, err := switchPID(h.ovs().Dir)
	if err != nil {
		t.Fatal(err)
	}
	h.eventually("the thread that sends probes is found", func() bool { return monitorThread(pid) != "" })
	h.server.Close() // no etcd is needed
	h.eventually("the probe is heard less often", func() bool {
		if !strings.Contains(bfd(), `min_rx="100"`) {
			return true
		}
		for _, signal := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGCONT} {
			if err := h.vswitchd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			time.Sleep(300 * time.Millisecond)
		}
		return false
	})
}
