package hostagent

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"sluice/datapath/ovsdb"
	"sluice/store"
)

// trunk keeps a physical interface in the bridge, by which frames of VLAN networks go between hosts. It comes and goes in
// two steps, so that no host sends there what another does not take: it is plugged, and ready once this host's switch
// takes what comes by it; and it is ready no more before it is taken out. What it is in the switch's database says.
type trunk struct {
	o            Options
	underlay     *underlay
	registration *registration
	problems     *problems
	due          bell   // it has a next step
	wake         func() // has the mend loop tell the cluster
	db           *ovsdb.DB
	log          *slog.Logger
}

const (
	// idTrunk is the external id of the trunk's row, and how far it is.
	idTrunk      = "sluice-trunk"
	trunkPlugged = "plugged"
	trunkReady   = "ready"
	// idTrunkWas says whether the interface was up before it was plugged: so it is left.
	idTrunkWas = "sluice-trunk-was"
	wasUp      = "up"
	wasDown    = "down"

	// trunkPatience is how long a step waits for flows.
	trunkPatience = 10 * time.Second
	// trunkRest is for how long a switch may forward by what it knew before.
	trunkRest = time.Second
	// trunkSchema is the least schema of a controller whose flows take what comes by a trunk.
	trunkSchema = 2
)

// wait is the keeper's rhythm: that of the mend loop, and sooner where it has a next step.
func (k trunk) wait(ctx context.Context) { k.due.wait(ctx, mendInterval) }

// is lists the interfaces that were plugged as trunks: one, as a rule.
func (k trunk) is(ctx context.Context) ([]ovsdb.InterfaceStatus, error) {
	rows, err := k.db.Ports(ctx, store.BridgeName)
	if err != nil {
		return nil, fmt.Errorf("look for the trunk: %w", err)
	}
	return slices.DeleteFunc(rows, func(row ovsdb.InterfaceStatus) bool { return row.ExternalIDs[idTrunk] == "" }), nil
}

func (k trunk) should(context.Context) (string, error) { return k.o.Trunk, nil }

func (k trunk) makeSo(ctx context.Context, name string, is []ovsdb.InterfaceStatus) error {
	plugged := slices.IndexFunc(is, func(row ovsdb.InterfaceStatus) bool { return row.Name == name })
	for i, row := range is {
		if i != plugged {
			return k.release(ctx, row)
		}
	}
	switch {
	case name == "":
		return nil
	case plugged < 0 || is[plugged].OFPort <= 0:
		return k.plug(ctx, name, is)
	case is[plugged].ExternalIDs[idTrunk] != trunkReady:
		return k.getReady(ctx, is[plugged])
	}
	return raise(name)
}

// plug brings the interface into the bridge.
func (k trunk) plug(ctx context.Context, name string, is []ovsdb.InterfaceStatus) error {
	was := wasDown
	if len(is) > 0 {
		was = is[0].ExternalIDs[idTrunkWas]
	} else {
		up, err := usableTrunk(ctx, k.db, k.o, k.underlay)
		if err != nil {
			return err
		}
		if up {
			was = wasUp
		}
	}
	if err := k.db.EnsurePort(ctx, store.BridgeName, trunkRow(name, trunkPlugged, was)); err != nil {
		return err
	}
	k.log.Info("the trunk is in the bridge", "interface", name)
	k.wake()
	return raise(name)
}

func trunkRow(name, how, was string) ovsdb.Interface {
	return ovsdb.Interface{Name: name, ExternalIDs: map[string]string{idTrunk: how, idTrunkWas: was}}
}

// raise sets an interface up.
func raise(name string) error {
	link, err := netlink.LinkByName(name)
	if isGone(err) {
		return noSuchTrunk(name)
	}
	if err == nil && link.Attrs().Flags&net.FlagUp == 0 {
		err = netlink.LinkSetUp(link)
	}
	if err != nil {
		return fmt.Errorf("trunk %s: set up: %w", name, err)
	}
	return nil
}

// getReady waits until this host's switch takes what comes by the trunk.
func (k trunk) getReady(ctx context.Context, row ovsdb.InterfaceStatus) error {
	if k.registration.told().Trunk != row.Name {
		return nil // the host's record is next, and wakes us
	}
	if err := k.understood(ctx); err != nil {
		return err
	}
	_, rev, err := k.o.Store.Get(ctx, store.HostKey(k.o.Host))
	if err != nil {
		return fmt.Errorf("trunk %s: read this host: %w", row.Name, err)
	}
	bounded, cancel := context.WithTimeout(ctx, trunkPatience)
	defer cancel()
	if err := k.o.Store.WaitHost(bounded, k.o.Host, rev, store.Key{}); err != nil {
		return fmt.Errorf("trunk %s: VLAN networks go by tunnels until the switch has its flows: %w", row.Name, err)
	}
	pause(ctx, trunkRest)
	if err := k.db.EnsurePort(ctx, store.BridgeName, trunkRow(row.Name, trunkReady, row.ExternalIDs[idTrunkWas])); err != nil {
		return err
	}
	k.log.Info("the trunk is ready", "interface", row.Name)
	k.wake()
	return nil
}

// understood refuses while a controller is live whose flows would not take what comes by a trunk.
func (k trunk) understood(ctx context.Context) error {
	controllers, _, err := k.o.Store.List(ctx, store.KindLiveController)
	if err != nil {
		return fmt.Errorf("trunk %s: list controllers: %w", k.o.Trunk, err)
	}
	for _, e := range controllers {
		if c := e.Object.(*store.LiveController); c.Program.Schema < trunkSchema {
			return fmt.Errorf("trunk %s: VLAN networks go by tunnels while controller %s is of a version that knows no trunks: upgrade it",
				k.o.Trunk, e.Key.Name)
		}
	}
	return nil
}

// release takes an interface out of the bridge, once no host sends there any more, and leaves it as it was.
func (k trunk) release(ctx context.Context, row ovsdb.InterfaceStatus) error {
	if k.registration.told().TrunkReady {
		k.wake() // the host's record is next
		return nil
	}
	if err := k.left(ctx, row.Name); err != nil {
		return err
	}
	if err := k.db.DeletePort(ctx, store.BridgeName, row.Name); err != nil {
		return err
	}
	k.log.Info("the trunk is out of the bridge", "interface", row.Name)
	k.wake()
	link, err := netlink.LinkByName(row.Name)
	if isGone(err) || err == nil && row.ExternalIDs[idTrunkWas] != wasDown {
		return nil
	}
	if err == nil {
		err = netlink.LinkSetDown(link)
	}
	if err != nil {
		return fmt.Errorf("trunk %s: set down, as it was: %w", row.Name, err)
	}
	return nil
}

// left waits until all hosts know that this one's trunk is ready no more. Those that nobody programs are not waited for for long.
func (k trunk) left(ctx context.Context, name string) error {
	_, rev, err := k.o.Store.Get(ctx, store.HostKey(k.o.Host))
	if err != nil {
		return fmt.Errorf("trunk %s: read this host: %w", name, err)
	}
	all, _, err := k.o.Store.List(ctx, store.KindHost)
	if err != nil {
		return fmt.Errorf("trunk %s: list hosts: %w", name, err)
	}
	var hosts []string
	for _, e := range all {
		hosts = append(hosts, e.Key.Host)
	}
	bounded, cancel := context.WithTimeout(ctx, trunkPatience)
	defer cancel()
	behind, err := k.o.Store.WaitAll(bounded, hosts, rev, store.Key{})
	if err != nil {
		return fmt.Errorf("trunk %s: wait until nobody sends there: %w", name, err)
	}
	if len(behind) > 0 {
		k.log.Warn("the trunk goes though some hosts may send there still", "interface", name, "hosts", behind)
	}
	pause(ctx, trunkRest)
	return nil
}

// told writes what the cluster is told into the host's record: which interface is the trunk, whether others may send there, and
// why not where the operator wants it. One that lost its wire is not ready, and one that is gone is none.
func (k trunk) told(ctx context.Context, h *store.Host) error {
	is, err := k.is(ctx)
	if err != nil {
		return err
	}
	if k.o.Trunk != "" { // what the keeper said last, and nothing while it is under way
		h.NoTrunk = k.problems.text("trunk")
	}
	if len(is) == 0 || is[0].OFPort <= 0 {
		return nil
	}
	row := is[0]
	link, err := netlink.LinkByName(row.Name)
	if isGone(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("trunk %s: look for its wire: %w", row.Name, err)
	}
	h.Trunk = row.Name
	if row.Name != k.o.Trunk || row.ExternalIDs[idTrunk] != trunkReady {
		return nil
	}
	if h.TrunkReady = link.Attrs().RawFlags&unix.IFF_RUNNING != 0; h.TrunkReady {
		h.NoTrunk = ""
	} else {
		h.NoTrunk = fmt.Sprintf("trunk %s: it has no carrier: look at its wire", row.Name)
	}
	return nil
}

// noSuchTrunk says that the interface is not there.
func noSuchTrunk(name string) error {
	return fmt.Errorf("trunk %s: this host has no such interface: name another with --trunk", name)
}

// usableTrunk says why an interface cannot be the trunk, and whether it is up.
func usableTrunk(ctx context.Context, db *ovsdb.DB, o Options, u *underlay) (up bool, err error) {
	name := o.Trunk
	link, err := netlink.LinkByName(name)
	if isGone(err) {
		return false, noSuchTrunk(name)
	}
	if err != nil {
		return false, fmt.Errorf("trunk %s: %w", name, err)
	}
	bridge, how, err := db.Where(ctx, name)
	if err != nil {
		return false, fmt.Errorf("trunk %s: %w", name, err)
	}
	if bridge == store.BridgeName && how.ExternalIDs[idTrunk] != "" {
		return true, nil // it is ours already
	}
	if why := unfit(link, o, bridge); why != "" {
		return false, fmt.Errorf("trunk %s: %s: free it, or name another with --trunk", name, why)
	}
	if need := u.containerMTU(store.SegmentationVLAN); link.Attrs().MTU < need {
		return false, fmt.Errorf("trunk %s: its MTU is %d, and containers of VLAN networks send packets of %d: give it that or more", name, link.Attrs().MTU, need)
	}
	return link.Attrs().Flags&net.FlagUp != 0, nil
}

// unfit says what else an interface is for; empty: nothing. bridge is that of Open vSwitch that it is in.
func unfit(link netlink.Link, o Options, bridge string) string {
	name := link.Attrs().Name
	switch {
	case name == store.BridgeName || strings.HasPrefix(name, "sluice-") || strings.HasPrefix(name, interfacePrefix):
		return "it is Sluice's own"
	case name == o.Uplink:
		return "it is the uplink"
	case bridge != "":
		return "it is in bridge " + bridge
	}
	if master := link.Attrs().MasterIndex; master != 0 {
		if of, err := netlink.LinkByIndex(master); err == nil && of.Attrs().Name != "ovs-system" {
			return "it is in " + of.Type() + " " + of.Attrs().Name
		}
	}
	addresses, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return "its addresses are not known: " + err.Error()
	}
	for _, a := range addresses {
		if !a.IP.IsLinkLocalUnicast() {
			return "it has the address " + a.IP.String() + ", by which the host speaks"
		}
	}
	return ""
}
