package bench

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// A small fleet goes through everything that the large one does. Every count must be what it is
// to be: how many flow mods a port costs, and on which hosts.
func TestSmallFleet(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "sluice")
	if out, err := exec.Command("go", "build", "-o", binary, "sluice/cmd/sluice").CombinedOutput(); err != nil {
		t.Fatalf("build sluice: %v\n%s", err, out)
	}
	results := map[string]Result{}
	o := Options{Rounds: 2, Scale: 0.01, Binary: binary, Report: func(r Result) error {
		results[fmt.Sprint(r.Params["what"], r.Params["span"])] = r
		return nil
	}}
	size := FleetSize{Hosts: 20, Tenants: 50, Ports: 500}
	if err := measureFleet(t.Context(), &Run{Options: o.withDefaults(), name: "fleet"}, size, time.Second); err != nil {
		t.Fatal(err)
	}
	facts := map[string]map[string]float64{}
	for what, r := range results {
		facts[what] = map[string]float64{}
		for _, f := range r.Facts {
			facts[what][f.Name] = f.Value
			if exact := f.Bound != nil && f.Bound.Least != nil && f.Bound.Most != nil; exact && !f.Bound.Holds(f.Value) {
				t.Errorf("%s: %s is %v, want %s", what, f.Name, f.Value, f.Bound)
			}
		}
	}
	if held := facts["cold start<nil>"]["flows held by the switches"]; held < 10_000 {
		t.Errorf("after the cold start the switches hold %v flows", held)
	}
	each, own := facts["add a port2"]["flow mods on each other host"], facts["add a port2"]["flow mods on the port's own host"]
	if each < 1 || own <= each {
		t.Errorf("a port costs %v flow mods at home and %v elsewhere", own, each)
	}
	for _, span := range []float64{2, 10, 20} {
		got := facts[fmt.Sprint("add a port", span)]
		if want := own + (span-1)*each; got["flow mods"] != want {
			t.Errorf("a port in a network of %v hosts costs %v flow mods, want %v", span, got["flow mods"], want)
		}
	}
	if _, ok := facts["idle<nil>"]; !ok {
		t.Error("idling was not measured")
	}
}
