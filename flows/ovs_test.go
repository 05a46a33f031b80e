package flows

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sluice/datapath/ovsrun"
	"sluice/datapath/ovstest"

	goovs "github.com/digitalocean/go-openvswitch/ovs"
	gocmp "github.com/google/go-cmp/cmp"
)

// Open vSwitch takes the tables as they are written, and gives the same text back: what
// Diff compares after a dump is what was sent.
func TestOVSHoldsTheSame(t *testing.T) {
	o := startOVS(t)
	for _, path := range documents(t) {
		d, _ := readDocument(t, path)
		for _, sw := range d.switches() {
			t.Run(filepath.Base(path)+"/"+sw.Host, func(t *testing.T) {
				flows, _ := compileHost(d.State, sw)
				var want []string
				for _, f := range flows {
					want = append(want, strings.TrimSpace(f.String()))
				}
				got := o.replace(t, want)
				slices.Sort(want)
				if diff := gocmp.Diff(want, got); diff != "" {
					t.Errorf("the switch holds other flows (-sent +held):\n%s", diff)
				}
			})
		}
	}
}

// ovs is an Open vSwitch of the test's own with one bridge, br0, in its dummy datapath.
type ovs struct{ *ovstest.OVS }

func startOVS(t *testing.T) ovs {
	t.Helper()
	o := ovs{ovstest.Start(t, "--enable-dummy")}
	o.Change(func(c *ovsrun.Change) error {
		err := errors.Join(c.AddBridge("br0"), c.Also("set", "bridge", "br0", "datapath_type=dummy"),
			c.SetFailMode("br0", goovs.FailModeSecure))
		for _, number := range []string{"1", "2", "200"} {
			port := "p" + number
			err = errors.Join(err, c.AddPort("br0", port), c.Set.Interface(port, goovs.InterfaceOptions{Type: "dummy"}),
				c.Also("set", "interface", port, "ofport_request="+number))
		}
		return err
	})
	return o
}

var meterNumber = regexp.MustCompile(`meter:(\d+)`)

// addMeters adds those that flows name and the bridge lacks: Open vSwitch refuses such a flow.
func (o ovs) addMeters(flows []string) {
	has := o.OFCtl("dump-meters", "br0")
	for _, m := range meterNumber.FindAllStringSubmatch(strings.Join(flows, "\n"), -1) {
		if line := "meter=" + m[1] + " "; !strings.Contains(has, line) {
			has += line
			o.OFCtl("add-meter", "br0", "meter="+m[1]+",pktps,bands=type=drop,rate=1000")
		}
	}
}

// replace loads flows in the place of all others, and returns what the bridge holds then,
// sorted.
func (o ovs) replace(t *testing.T, flows []string) []string {
	t.Helper()
	file := o.Path("flows")
	if err := os.WriteFile(file, []byte(strings.Join(flows, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o.OFCtl("del-flows", "br0")
	o.addMeters(flows)
	o.OFCtl("add-flows", "br0", "--bundle", file)
	dump := o.OFCtl("dump-flows", "br0", "--no-stats", "--no-names")
	var held []string
	for line := range strings.Lines(dump) {
		if line = strings.TrimSpace(line); line != "" && !strings.Contains(line, "OFPST_FLOW") {
			held = append(held, line)
		}
	}
	slices.Sort(held)
	return held
}
