package hostagent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"sigs.k8s.io/knftables"

	"sluice/store"
)

// ensureKernel makes the kernel's side right: our nftables table, and on a gateway host the
// transit interface and forwarding.
func (a *Agent) ensureKernel(ctx context.Context) error {
	a.mu.Lock()
	closed, mtu := a.infrastructure(), a.mtu(store.SegmentationVLAN)
	a.mu.Unlock()
	if err := a.ensureRuleset(ctx, closed); err != nil {
		return err
	}
	if !a.o.Gateway {
		return nil
	}
	if err := ensureTransit(mtu); err != nil {
		return fmt.Errorf("transit interface %s: %w", store.GatewayInterface, err)
	}
	return setSysctl("net/ipv4/ip_forward", "1")
}

// infrastructure is what tenants must not open connections to: what was configured, the
// controllers, and the underlay. The caller holds a.mu.
func (a *Agent) infrastructure() []netip.Prefix {
	all := append(slices.Clone(a.o.Infrastructure), controllerPrefixes(a.o.Controllers)...)
	if a.underlay.prefix.IsValid() {
		all = append(all, a.underlay.prefix)
	}
	return outermost(all)
}

// controllerPrefixes are the addresses of OpenFlow targets such as tcp:192.0.2.1:6653 or
// ssl:[2001:db8::1]:6653. Targets of other kinds have none.
func controllerPrefixes(targets []string) []netip.Prefix {
	var all []netip.Prefix
	for _, target := range targets {
		_, at, _ := strings.Cut(target, ":")
		if addrPort, err := netip.ParseAddrPort(at); err == nil && !addrPort.Addr().IsLoopback() {
			all = append(all, netip.PrefixFrom(addrPort.Addr(), addrPort.Addr().BitLen()))
		}
	}
	return all
}

// ensureTransit gives the transit interface its address and route. The device takes what
// tunnel networks send; the route is smaller by a tag, so that answers fit VLAN networks too.
func ensureTransit(mtu int) error {
	link, err := netlink.LinkByName(store.GatewayInterface)
	if err != nil {
		return fmt.Errorf("find: %w", err)
	}
	if err := setSysctl("net/ipv6/conf/"+store.GatewayInterface+"/disable_ipv6", "1"); err != nil {
		return err
	}
	// Loose: answers of a connection that moves between gateway hosts may come by another way.
	if err := setSysctl("net/ipv4/conf/"+store.GatewayInterface+"/rp_filter", "2"); err != nil {
		return err
	}
	kernel := netip.PrefixFrom(store.TransitKernel, store.TransitRange.Bits())
	if err := ensureAddress(link, kernel); err != nil {
		return err
	}
	if link.Attrs().Flags&net.FlagUp == 0 {
		if err := netlink.LinkSetUp(link); err != nil {
			return fmt.Errorf("set up: %w", err)
		}
	}
	return ensureRoute(&netlink.Route{
		LinkIndex: link.Attrs().Index, Dst: ipNet(store.TransitRange), Src: store.TransitKernel.AsSlice(),
		Scope: netlink.SCOPE_LINK, MTU: mtu,
	})
}

// ensureAddress adds an address without a route of its own.
func ensureAddress(link netlink.Link, p netip.Prefix) error {
	have, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	want := &netlink.Addr{IPNet: ipNet(p), Flags: unix.IFA_F_NOPREFIXROUTE}
	for _, addr := range have {
		if addr.Equal(*want) {
			return nil
		}
	}
	if err := netlink.AddrReplace(link, want); err != nil {
		return fmt.Errorf("add address %s: %w", p, err)
	}
	return nil
}

func ensureRoute(want *netlink.Route) error {
	filter := &netlink.Route{LinkIndex: want.LinkIndex, Dst: want.Dst}
	have, err := netlink.RouteListFiltered(netlink.FAMILY_V4, filter, netlink.RT_FILTER_OIF|netlink.RT_FILTER_DST)
	if err != nil {
		return fmt.Errorf("list routes: %w", err)
	}
	for _, r := range have {
		if r.MTU == want.MTU && r.Src.Equal(want.Src) {
			return nil
		}
	}
	if err := netlink.RouteReplace(want); err != nil {
		return fmt.Errorf("add route %s: %w", want.Dst, err)
	}
	return nil
}

// written is what the agent remembers of the table: what it wanted, and how nft listed it
// then. Any difference, ours or somebody else's, makes it write the table anew.
type written struct {
	Wanted string `json:"wanted"`
	Listed string `json:"listed"`
}

// ensureRuleset writes our table unless it is right already. Connections live on: conntrack
// is not part of a table.
func (a *Agent) ensureRuleset(ctx context.Context, closed []netip.Prefix) error {
	memory := filepath.Join(a.o.StateDir, "nftables.json")
	want := written{Wanted: rulesetText(a.o.Gateway, closed)}
	var last written
	if b, err := os.ReadFile(memory); err == nil {
		_ = json.Unmarshal(b, &last) // unreadable: written anew
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read what nftables held: %w", err)
	}
	if listed, err := listRuleset(ctx); err == nil && last.Wanted == want.Wanted && last.Listed == listed {
		return nil
	}
	if err := applyRuleset(ctx, a.o.Gateway, closed); err != nil {
		return fmt.Errorf("nftables table %s: %w", tableName, err)
	}
	var err error
	if want.Listed, err = listRuleset(ctx); err != nil {
		return err
	}
	b, err := json.Marshal(want)
	if err != nil {
		return fmt.Errorf("encode what nftables holds: %w", err)
	}
	a.log.Info("nftables table written", "table", tableName)
	return writeFile(memory, b)
}

func applyRuleset(ctx context.Context, gateway bool, closed []netip.Prefix) error {
	nft, err := knftables.New(knftables.InetFamily, tableName)
	if err != nil {
		return err
	}
	tx := nft.NewTransaction()
	writeRuleset(tx, gateway, closed)
	return nft.Run(ctx, tx)
}

// listRuleset is our table as nft shows it. An error also where there is no such table.
func listRuleset(ctx context.Context) (string, error) {
	b, err := exec.CommandContext(ctx, "nft", "list", "table", "inet", tableName).Output()
	if err != nil {
		return "", fmt.Errorf("list nftables table %s: %w", tableName, err)
	}
	return string(b), nil
}
