package lab

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// The cuts are rules of the underlay's bridge, which drop what one port of it sends to
// another. Whoever is cut off notices nothing but silence, as behind a broken wire.
const (
	cutsTable = "sluice_cuts"
	cutsRules = `table bridge ` + cutsTable + ` {
	set cuts { type ifname . ifname; }
	chain forward {
		type filter hook forward priority 0; policy accept;
		iifname . oifname @cuts drop
	}
}
`
)

// Cut parts two machines of the lab: a host, a controller (c1) or a member of etcd (e1).
// Nothing passes between them until Heal.
func Cut(ctx context.Context, a, b string) error {
	return onWires(ctx, a, b, func(elements string) string { return "add element bridge " + cutsTable + " cuts " + elements })
}

// Heal joins two machines that were cut from each other.
func Heal(ctx context.Context, a, b string) error {
	return onWires(ctx, a, b, func(elements string) string { return "delete element bridge " + cutsTable + " cuts " + elements })
}

// HealAll joins all that was cut.
func HealAll(ctx context.Context) error {
	unlock, err := lock(ctx, unix.LOCK_SH)
	if err != nil {
		return err
	}
	defer unlock()
	return nft(ctx, cutsRules+"flush set bridge "+cutsTable+" cuts\n")
}

func onWires(ctx context.Context, a, b string, command func(elements string) string) error {
	s, unlock, err := workIn(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	from, err := s.wireOf(a)
	if err != nil {
		return err
	}
	to, err := s.wireOf(b)
	if err != nil {
		return err
	}
	if from == to {
		return fmt.Errorf("%s and %s are one machine: nothing is between them", a, b)
	}
	elements := fmt.Sprintf("{ %q . %q, %q . %q }", from, to, to, from)
	// What is there already is added once more first, so that a second cut, or a second
	// heal, fails as little as the first.
	return nft(ctx, cutsRules+"add element bridge "+cutsTable+" cuts "+elements+"\n"+command(elements)+"\n")
}

func nft(ctx context.Context, script string) error {
	_, err := runInput(ctx, script, "ip", "netns", "exec", UnderlayNS, "nft", "-f", "-")
	return err
}

// wireOf is the port in the underlay's bridge of a machine, by the machine's name. A
// controller may be written controller/c1, a member of etcd etcd/e1, as in the other commands.
func (s *state) wireOf(name string) (string, error) {
	for _, m := range s.controllers() {
		if name == m.name || name == "controller/"+m.name {
			return m.wire(), nil
		}
	}
	for _, m := range s.etcdMembers() {
		if name == m.name || name == "etcd/"+m.name {
			return m.wire(), nil
		}
	}
	if s.hasHost(name) == nil {
		return name, nil
	}
	return "", fmt.Errorf("the lab has no machine %q: it has %s", name, strings.Join(s.machineNames(), ", "))
}

// machineNames are all that can be cut from each other.
func (s *state) machineNames() []string {
	var all []string
	for _, m := range append(s.controllers(), s.etcdMembers()...) {
		all = append(all, m.name)
	}
	return append(all, s.hostNames()...)
}
