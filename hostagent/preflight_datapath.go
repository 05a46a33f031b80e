package hostagent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"sluice/datapath/ovsdb"
	"sluice/store"
)

// datapathNeeds are features of the datapath, by the names that ovs-vswitchd gives them, without
// which it refuses flows of ours or handles each of their packets in its slow path.
var datapathNeeds = []struct{ feature, why string }{
	{"Recirc", "packets come back from conntrack"},
	{"CT state", "egress"},
	{"CT zone", "tenants' addresses may overlap"},
	{"CT mark", "a connection is its tenant's"},
	{"CT state NAT", "egress"},
	{"Masked set action", "flows change parts of headers"},
	{"Clone action", "copies of broadcasts"},
	{"Ufid", "counters"},
}

// probeBridge is the bridge of the preflight.
const probeBridge = "sluice-check"

// datapath asks what the datapath can do that this host is to have. The host's bridge knows it where it
// has that one already; else a bridge is made for the question.
func (p preflight) datapath(ctx context.Context) (says string, err error) {
	db, err := ovsdb.Dial(ctx, p.o.OVSDB, p.o.Log)
	if err != nil {
		return "", errors.New("not known without the database")
	}
	defer db.Close()
	wanted, name := datapathOf(p.o.DatapathType), store.BridgeName
	if b, err := db.Bridge(ctx, name); err != nil || b == nil || datapathOf(b.DatapathType) != wanted {
		name = probeBridge
		defer func() {
			bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTimeout)
			defer cancel()
			err = errors.Join(err, db.DeleteBridge(bounded, probeBridge))
		}()
		if _, err := db.EnsureBridge(ctx, ovsdb.Bridge{Name: probeBridge, DatapathType: p.o.DatapathType}); err != nil {
			return "", fmt.Errorf("this switch has no %s: %w: %s", wanted, err, wanted.instead())
		}
	}
	features, err := p.ask(ctx, "dpif/show-dp-features", name)
	if err != nil {
		return "", err
	}
	lacking := lackingFeatures(features)
	limits, err := p.lackingLimits(ctx, name)
	if err != nil {
		return "", err
	}
	if lacking = append(lacking, limits...); len(lacking) > 0 {
		return "", fmt.Errorf("%s cannot do: %s: %s", wanted, strings.Join(lacking, ", "), wanted.newer())
	}
	return fmt.Sprintf("%s can do all that flows need", wanted), nil
}

// A datapathKind is a type of datapath, as Open vSwitch names it.
type datapathKind string

const (
	kernelDatapath    datapathKind = "system"
	userspaceDatapath datapathKind = "netdev"
)

// datapathOf is the type that an option or a bridge means. One that says nothing has the kernel's.
func datapathOf(option string) datapathKind {
	return datapathKind(cmp.Or(option, string(kernelDatapath)))
}

func (k datapathKind) String() string {
	switch k {
	case kernelDatapath:
		return "datapath of the kernel (system)"
	case userspaceDatapath:
		return "datapath in userspace (netdev)"
	}
	return fmt.Sprintf("datapath of type %q", string(k))
}

// instead is what to do where the switch lacks such a datapath.
func (k datapathKind) instead() string {
	switch k {
	case kernelDatapath:
		return "load the kernel's module openvswitch, or use --datapath-type netdev"
	case userspaceDatapath:
		return "use an Open vSwitch that is built with it, or --datapath-type system"
	}
	return "use --datapath-type system or netdev"
}

// newer is what to do where such a datapath is too old.
func (k datapathKind) newer() string {
	if k == kernelDatapath {
		return "use a newer kernel, or --datapath-type netdev"
	}
	return "use a newer Open vSwitch"
}

// lackingLimits are those that keep one tenant from taking what all need, and that a bridge's datapath
// lacks: meters, and on a gateway host limits of connections. Kernels had neither before Linux 4.18.
func (p preflight) lackingLimits(ctx context.Context, bridge string) (lacking []string, err error) {
	socket := filepath.Join(cmp.Or(p.o.RunDir, defaultRunDir), bridge+".mgmt")
	out, err := exec.CommandContext(ctx, "ovs-ofctl", "-O", "OpenFlow13", "meter-features", "unix:"+socket).CombinedOutput()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return nil, fmt.Errorf("%w: it comes with Open vSwitch (openvswitch-common on Debian)", err)
	case err != nil:
		return nil, fmt.Errorf("ask for its meters: %w: %s", err, strings.Join(strings.Fields(string(out)), " "))
	case !hasMeters(string(out)):
		lacking = append(lacking, "meters (limits of broadcasts)")
	}
	if !p.o.Gateway {
		return lacking, nil
	}
	if _, err := (zones{o: p.o}).ask(ctx, "dpctl/ct-get-limits"); err != nil {
		lacking = append(lacking, fmt.Sprintf("limits of connections in each zone (one tenant must not take all: %v)", err))
	}
	return lacking, nil
}

var mostMeters = regexp.MustCompile(`max_meter:(\d+)`)

// hasMeters reads what the switch says of its meters. A datapath without any has 0 of them.
func hasMeters(features string) bool {
	found := mostMeters.FindStringSubmatch(features)
	return found != nil && found[1] != "0"
}

// lackingFeatures reads what ovs-vswitchd says of a datapath, a line "feature: value" each, and says
// which of datapathNeeds it lacks.
func lackingFeatures(features string) (lacking []string) {
	has := make(map[string]string)
	for line := range strings.Lines(features) {
		name, value, _ := strings.Cut(line, ":")
		has[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	for _, need := range datapathNeeds {
		if has[need.feature] != "Yes" {
			lacking = append(lacking, need.feature+" ("+need.why+")")
		}
	}
	return lacking
}
