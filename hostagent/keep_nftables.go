package hostagent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"sigs.k8s.io/knftables"
)

// nftables keeps our own table, all of it: ruleset.go says what is in it. Without it tenants
// reach this host, so it has a rhythm of its own: no other keeper that hangs holds it up.
type nftables struct {
	o              Options
	underlay       *underlay
	infrastructure *infrastructure
	published      *published
	due            bell // rings when the table was changed, or what it depends on
	log            *slog.Logger
}

// tableRest is the least time between two looks at the table, so that a program that edits it
// over and over costs little.
const tableRest = 100 * time.Millisecond

// wait is the keeper's rhythm. What the agent writes rings the bell too: the look that follows
// finds nothing to do.
func (n nftables) wait(ctx context.Context) {
	rest := time.After(tableRest)
	n.due.wait(ctx, mendInterval)
	select {
	case <-rest:
	case <-ctx.Done():
	}
}

// written is what the agent remembers of the table: what it wanted, and how nft listed it
// then. Any difference, ours or somebody else's, makes it write the table anew.
type written struct {
	Frame    string              `json:"frame"`    // the table without its Elements
	Elements map[string][]string `json:"elements"` // of the sets that follow the cluster
	Listed   string              `json:"listed"`
}

// writtenOf is what is remembered of a ruleset, but for how nft lists it.
func writtenOf(r ruleset) written {
	w := written{Frame: ruleset{frame: r.frame}.text(), Elements: make(map[string][]string)}
	for _, m := range r.elements() {
		w.Elements[m.set] = append(w.Elements[m.set], m.text())
	}
	return w
}

func (n nftables) memory() string { return filepath.Join(n.o.StateDir, "nftables.json") }

// is gives back what was wanted when the table was written, where nft still lists the table
// as it did then, and nothing where it does not.
func (n nftables) is(ctx context.Context) (written, error) {
	var last written
	if b, err := os.ReadFile(n.memory()); err == nil {
		_ = json.Unmarshal(b, &last) // unreadable: written anew
	} else if !errors.Is(err, fs.ErrNotExist) {
		return written{}, fmt.Errorf("read what the agent wrote last: %w", err)
	}
	if listed, err := listRuleset(ctx); err != nil || listed != last.Listed {
		return written{}, nil
	}
	return last, nil
}

func (n nftables) should(ctx context.Context) (ruleset, error) {
	members, err := n.infrastructure.recall(ctx)
	if err != nil {
		return ruleset{}, err
	}
	under := n.underlay.known()
	f := frame{
		gateway: n.o.Gateway, transit: members.transit(), closed: closedPrefixes(n.o, under.prefix),
		encap: n.o.Encap, vtep: n.o.VTEP, underlay: under.name, peers: members.Told,
	}
	if under.spread {
		f.underlay = ""
	}
	if f.gateway {
		if f.uplinks, err = uplinks(n.o.Uplink); err == nil {
			f.router, err = sysctlIs(routerSetting, "1")
		}
	}
	published, floating, lost := n.openings()
	return ruleset{f, members, published, floating}, errors.Join(err, lost)
}

// openings are those that are let in, and the floating addresses that are here or are to be. What this host has itself floats here no more,
// whatever is published on it: its own programs are reached there, and no tenant.
func (n nftables) openings() (published []opening, floating []netip.Addr, err error) {
	here, err := again(floatingHere)
	published = n.published.known()
	if floating = floatingOf(published, here); err != nil || len(floating) == 0 {
		return published, floating, err
	}
	all, err := again(hostAddresses)
	own := func(a netip.Addr) bool { return slices.Contains(all, a) }
	published = slices.DeleteFunc(slices.Clone(published), func(o opening) bool { return own(o.Address) })
	return published, slices.DeleteFunc(floating, own), err
}

// closedPrefixes are what tenants must not open connections to beside the cluster's machines: what
// was configured, the controllers given by address, and the underlay, where it is known.
func closedPrefixes(o Options, underlay netip.Prefix) []netip.Prefix {
	all := slices.Clone(o.Infrastructure)
	for _, host := range slices.Concat(controllerHosts(o.Controllers), o.Names) {
		if a, err := netip.ParseAddr(host); err == nil && !a.IsLoopback() {
			all = append(all, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	if underlay.IsValid() {
		all = append(all, underlay)
	}
	return outermost(all)
}

// makeSo writes the table: all of it, or the elements that differ where the rest stands.
// Connections live on: conntrack is not part of a table.
func (n nftables) makeSo(ctx context.Context, should ruleset, is written) error {
	want := writtenOf(should)
	if reflect.DeepEqual(want.Elements, is.Elements) && want.Frame == is.Frame {
		n.published.inTable(should.published)
		return nil
	}
	nft, err := knftables.New(knftables.InetFamily, tableName)
	if err != nil {
		return err
	}
	tx := nft.NewTransaction()
	whole := want.Frame != is.Frame
	if whole {
		should.write(tx)
	} else {
		writeDifference(tx, want.Elements, is.Elements)
	}
	if err := nft.Run(ctx, tx); err != nil {
		return fmt.Errorf("nftables table %s: %w", tableName, err)
	}
	if err := n.forgetEnded(want.Elements, is.Elements); err != nil {
		return err
	}
	if err := forgetMissed(openingsOnlyIn(want.Elements, is.Elements)); err != nil {
		return err
	}
	n.published.inTable(should.published)
	if want.Listed, err = listRuleset(ctx); err != nil {
		return err
	}
	b, err := json.Marshal(want)
	if err != nil {
		return fmt.Errorf("encode what was written: %w", err)
	}
	n.log.Info("nftables table written", "table", tableName, "whole", whole)
	return writeFile(n.memory(), b)
}

// writeDifference brings the elements of sets from those that are to those that should be.
func writeDifference(tx *knftables.Transaction, should, is map[string][]string) {
	for _, set := range followed {
		for _, text := range without(is[set], should[set]) {
			tx.Delete(memberOf(set, text).element())
		}
		for _, text := range without(should[set], is[set]) {
			tx.Add(memberOf(set, text).element())
		}
	}
}

// forgetEnded has the kernel forget the connections of publications that ended: a sender that goes on under the same ports would
// else be sent to where they led. The switch refuses them already.
func (n nftables) forgetEnded(should, is map[string][]string) error {
	ended := openingsOnlyIn(is, should)
	return forgetConnections(slices.DeleteFunc(ended, func(o opening) bool { return !n.published.ended(o) }))
}

// without are those of some words that are not among others.
func without(some, others []string) []string {
	other := make(map[string]bool, len(others))
	for _, w := range others {
		other[w] = true
	}
	return slices.DeleteFunc(slices.Clone(some), func(w string) bool { return other[w] })
}

// listRuleset is our table as nft shows it. An error also where there is no such table.
func listRuleset(ctx context.Context) (string, error) {
	b, err := exec.CommandContext(ctx, "nft", "list", "table", "inet", tableName).Output()
	if err != nil {
		return "", fmt.Errorf("list nftables table %s: %w", tableName, err)
	}
	return string(b), nil
}
