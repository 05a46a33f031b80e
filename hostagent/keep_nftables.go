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
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/knftables"
)

// nftables keeps our own table, all of it: ruleset.go says what is in it. Without it tenants
// reach this host, so it has a rhythm of its own: no other keeper that hangs holds it up.
type nftables struct {
	o        Options
	underlay *underlay
	due      bell // rings when the table was changed, or what it depends on
	log      *slog.Logger
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
	Wanted string `json:"wanted"`
	Listed string `json:"listed"`
}

func (n nftables) memory() string { return filepath.Join(n.o.StateDir, "nftables.json") }

// is gives back what was wanted when the table was written, where nft still lists the table
// as it did then, and nothing where it does not.
func (n nftables) is(ctx context.Context) (wanted string, err error) {
	var last written
	if b, err := os.ReadFile(n.memory()); err == nil {
		_ = json.Unmarshal(b, &last) // unreadable: written anew
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read what the agent wrote last: %w", err)
	}
	if listed, err := listRuleset(ctx); err != nil || listed != last.Listed {
		return "", nil
	}
	return last.Wanted, nil
}

func (n nftables) should(context.Context) (ruleset, error) {
	return ruleset{n.o.Gateway, infrastructure(n.o, n.underlay.known().prefix)}, nil
}

// infrastructure is what tenants must not open connections to: what was configured, the
// controllers, and the underlay, where it is known.
func infrastructure(o Options, underlay netip.Prefix) []netip.Prefix {
	all := append(slices.Clone(o.Infrastructure), controllerPrefixes(o.Controllers)...)
	if underlay.IsValid() {
		all = append(all, underlay)
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

// makeSo writes the whole table. Connections live on: conntrack is not part of a table.
func (n nftables) makeSo(ctx context.Context, should ruleset, wanted string) error {
	want := written{Wanted: should.text()}
	if want.Wanted == wanted {
		return nil
	}
	if err := should.apply(ctx); err != nil {
		return fmt.Errorf("nftables table %s: %w", tableName, err)
	}
	var err error
	if want.Listed, err = listRuleset(ctx); err != nil {
		return err
	}
	b, err := json.Marshal(want)
	if err != nil {
		return fmt.Errorf("encode what was written: %w", err)
	}
	n.log.Info("nftables table written", "table", tableName)
	return writeFile(n.memory(), b)
}

func (r ruleset) apply(ctx context.Context) error {
	nft, err := knftables.New(knftables.InetFamily, tableName)
	if err != nil {
		return err
	}
	tx := nft.NewTransaction()
	r.write(tx)
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
