package bench

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tinyRun is a case in sizes that say nothing of ratios, and what must hold even so: counts,
// and that all is measured.
type tinyRun struct {
	rounds int
	scale  float64
	check  func(*testing.T, []Result)
}

// tinyRuns are by case.
var tinyRuns = map[string]tinyRun{
	"program":       {2, 0.01, checkProgram},
	"resync":        {2, 0.01, checkResync},
	"tenant":        {1, 0.02, checkTenants},
	"sleep":         {1, 0.01, checkSleep},
	"attach":        {1, 0.02, checkAttach},
	"attach-docker": {1, 0.03, checkAttachDocker},
	"fleet":         {2, 0.02, checkFleet},
	"bandwidth":     {1, 0.2, checkBandwidth},
	"packets":       {1, 0.3, checkPackets},
	"paper-1":       {1, 0.1, checkPaperOne},
	"paper-2":       {1, 0.1, checkPaperTwo},
	"paper-3":       {1, 0.01, checkPaperThree},
	"paper-4":       {1, 0.02, checkPaperFour},
	"paper-5":       {1, 0.1, checkPaperFive},
	"ovn":           {1, 0.02, checkOVN},
	"flood":         {1, 0.2, checkFlood},
	"verify":        {2, 0.05, checkVerify},
	"fail-over":     {1, 0.02, checkFailOver},
	"probes":        {1, 0.01, checkProbes},
	"rates":         {1, 0.05, checkRates},
	"tenants":       {2, 0.01, checkMillion},
}

// Every case can be measured on this machine, from its first step to its last.
func TestEveryCase(t *testing.T) {
	binary := os.Getenv("SLUICE_BINARY")
	if binary == "" {
		binary = filepath.Join(t.TempDir(), "sluice")
		if out, err := exec.Command("go", "build", "-o", filepath.Dir(binary), "sluice/cmd/sluice", "sluice/cmd/sluice-cni").CombinedOutput(); err != nil {
			t.Fatalf("build sluice: %v\n%s", err, out)
		}
	}
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) {
			tiny, ok := tinyRuns[c.Name]
			if !ok {
				t.Fatalf("no tiny run of %s: nothing shows that it works on a fresh machine", c.Name)
			}
			requirePrograms(t, c.Needs)
			var got []Result
			o := Options{Rounds: tiny.rounds, Scale: tiny.scale, Binary: binary, Unwatched: true,
				Report: func(r Result) error { got = append(got, r); return nil }}
			if err := c.measure(t.Context(), &Run{Options: o.withDefaults(), name: c.Name}); err != nil {
				t.Fatal(err)
			}
			tiny.check(t, got)
		})
	}
}

// requirePrograms skips the test, or fails it, where a case cannot run.
func requirePrograms(t *testing.T, programs []string) {
	t.Helper()
	err := need(programs)
	if err == nil {
		return
	}
	if os.Getenv("SLUICE_REQUIRE_OVS") != "" {
		t.Fatal(err)
	}
	t.Skip(err)
}

// A case that lacks something names it, and does not begin.
func TestMeasureNamesWhatIsMissing(t *testing.T) {
	const none = "no-such-program"
	ran := 0
	c := Case{Name: "poor", Run: func(context.Context, *Run) error { ran++; return nil }}
	if err := c.measure(t.Context(), &Run{}); err != nil || ran != 1 {
		t.Errorf("a case that needs nothing ran %d times: %v", ran, err)
	}
	c.Needs = []string{"ls", none}
	err := c.measure(t.Context(), &Run{})
	if err == nil || ran != 1 || os.Geteuid() == 0 && !strings.Contains(err.Error(), "`sudo apt-get install "+none+"`") {
		t.Errorf("it ran %d times, and %v does not name %s", ran, err, none)
	}
}

// scripts/deps installs what a case runs: this machine may have it for another reason.
func TestDepsHaveWhatCasesNeed(t *testing.T) {
	file, err := os.Open("../../scripts/deps")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	installed := map[string]string{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if program, pkg, ok := strings.Cut(strings.TrimSpace(lines.Text()), ":"); ok && pkg != "" {
			installed[program] = pkg
		}
	}
	for _, c := range Cases() {
		for _, program := range c.Needs {
			if want := "`sudo apt-get install " + installed[program] + "`"; installs(program) != want {
				t.Errorf("%s needs %s: scripts/deps installs it by %s, and it says %s", c.Name, program, want, installs(program))
			}
		}
	}
}

// checkVerify needs all flows to be proved.
func checkVerify(t *testing.T, results []Result) {
	if len(results) != len(verifyFlows)+len(liveFlows)+1 {
		t.Fatalf("verify measured %+v", results)
	}
	for i, r := range results[:len(verifyFlows)] {
		if r.Unit != "s" || len(r.Also) > 0 || r.Facts[0].Value < float64(verifyFlows[i])/20 {
			t.Errorf("the proof of %d flows: %+v", verifyFlows[i], r)
		}
	}
	for i, r := range results[len(verifyFlows) : len(results)-1] {
		if r.Unit != "s" || r.Median <= 0 || len(r.Facts) != 2 || r.Facts[0].Value < float64(liveFlows[i])/20 {
			t.Errorf("sluice verify over %d flows: %+v", liveFlows[i], r)
		}
	}
	if beside := results[len(results)-1]; beside.Unit != "ms" || len(beside.Also) != 1 || len(beside.Facts) != 3 || beside.Median <= 0 {
		t.Errorf("ports beside a proof: %+v", beside)
	}
}
