package hostagent

import (
	"context"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"

	"sluice/store"
)

// probePort and its other end are the preflight's own way to a resolver.
const (
	probePort = "sluice-probe"
	probeEnd  = probePort + "-in"
)

// names tries what the resolver stands on. A host without it serves containers all the same, so that nothing lacks.
func (p preflight) names(context.Context) (string, error) {
	if !p.o.Resolver {
		return "containers' questions for names are not answered, as --dns=false says", nil
	}
	// A link that comes has Open vSwitch's userspace datapath read its routes anew, and lose packets meanwhile: a host that
	// serves containers already is not tried.
	if _, err := netlink.LinkByName(store.ResolverInterface); err == nil {
		return "the resolver's interface is there", nil
	}
	if err := p.tryRoom(); err != nil {
		return fmt.Sprintf("containers' questions for names will not be answered: %v: the kernel needs veth and macvlan; --dns=false does without", err), nil
	}
	return "the kernel has what the resolver needs", nil
}

// tryRoom makes a room as the resolver has, and removes it again.
func (p preflight) tryRoom() (err error) {
	if err := deleteLink(probePort); err != nil { // as left by one that was killed
		return err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = probePort
	veth := netlink.NewVeth(attrs)
	veth.PeerName = probeEnd
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("create interface %s: %w", probePort, err)
	}
	defer func() { err = errors.Join(err, deleteLink(probePort)) }()
	r := newRoom()
	defer r.close()
	return r.build(probeEnd, p.o.DatapathType == "netdev")
}
