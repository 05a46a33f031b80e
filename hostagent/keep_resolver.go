package hostagent

import (
	"context"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"

	"sluice/datapath/ovsdb"
	"sluice/store"
)

// resolverPort keeps the way between the bridge and the resolver: a port of the bridge whose other end leads into a network
// namespace of the resolver's own. Nothing but the resolver is there, so that containers reach nothing else
// of this host by it, and their addresses may be the host's own. The namespace ends with the agent; the port stays,
// so that a restart changes nothing in the switch.
type resolverPort struct{ *resolving }

// resolverEnd is the end of the port that is not in the bridge.
const resolverEnd = store.ResolverInterface + "-in"

// resolverWay is what there is of the way.
type resolverWay struct {
	plugged      bool    // the bridge has the port
	outer, inner hostEnd // both are silent: frames of the host's kernel have no business there
	room         bool    // the resolver's namespace leads there
}

func (p resolverPort) is(ctx context.Context) (w resolverWay, err error) {
	row, err := p.db.Port(ctx, store.BridgeName, store.ResolverInterface)
	if err != nil {
		return w, err
	}
	w.plugged = row != nil && row.Is(resolverRow)
	if w.outer, err = readEnd(store.ResolverInterface); err != nil {
		return w, err
	}
	if w.inner, err = readEnd(resolverEnd); err != nil {
		return w, err
	}
	w.room, err = p.room.leadsTo(resolverEnd)
	return w, err
}

// readEnd is readHostEnd of an interface that may not be there.
func readEnd(name string) (hostEnd, error) {
	end, err := readHostEnd(name)
	if isGone(err) {
		return hostEnd{}, nil
	}
	return end, err
}

var resolverRow = ovsdb.Interface{Name: store.ResolverInterface}

func (p resolverPort) should(context.Context) (resolverWay, error) {
	if !p.o.Resolver {
		return resolverWay{}, nil
	}
	silent := hostEnd{arpOff: true, ipv6Off: true, up: true}
	return resolverWay{plugged: true, outer: silent, inner: silent, room: true}, nil
}

func (p resolverPort) makeSo(ctx context.Context, should, is resolverWay) error {
	switch {
	case is == should:
		return nil
	case !should.plugged:
		return errors.Join(p.db.DeletePort(ctx, store.BridgeName, store.ResolverInterface), deleteLink(store.ResolverInterface))
	}
	if err := makePair(should.outer, is); err != nil {
		return err
	}
	if !is.room {
		if err := p.room.build(resolverEnd, p.o.DatapathType == "netdev"); err != nil {
			return err
		}
	}
	if !is.plugged {
		if err := p.db.EnsurePort(ctx, store.BridgeName, resolverRow); err != nil {
			return err
		}
	}
	return p.desks.Settle()
}

// makePair makes both ends be there, up and silent.
func makePair(should hostEnd, is resolverWay) error {
	if is.outer == should && is.inner == should {
		return nil
	}
	ends := make([]netlink.Link, 0, 2)
	for _, name := range []string{store.ResolverInterface, resolverEnd} {
		link, err := netlink.LinkByName(name)
		if isGone(err) {
			return makePairAnew(should)
		}
		if err != nil {
			return fmt.Errorf("interface %s: find: %w", name, err)
		}
		ends = append(ends, link)
	}
	for _, link := range ends {
		if err := silenceAndRaise(link); err != nil {
			return err
		}
	}
	return nil
}

func makePairAnew(should hostEnd) error {
	if err := errors.Join(deleteLink(store.ResolverInterface), deleteLink(resolverEnd)); err != nil {
		return err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = store.ResolverInterface
	veth := netlink.NewVeth(attrs)
	veth.PeerName = resolverEnd
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("create interface %s: %w", attrs.Name, err)
	}
	return makePair(should, resolverWay{})
}
