package hostagent

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// veths keeps the host's ends of the containers' veth pairs up and silent. Whether an
// interface is to be there at all is the business of ports. The container's end is set up
// once, by the attach: from then on it is the container's.
type veths struct {
	journal *journal
	log     *slog.Logger
}

// hostEnd is what the agent makes of a host's end.
type hostEnd struct {
	arpOff  bool // the kernel answers no ARP
	ipv6Off bool
	up      bool
}

// is reads those that no attach or detach works on, by name.
func (v veths) is(context.Context) (map[string]hostEnd, error) {
	names, err := portLinks()
	if err != nil {
		return nil, err
	}
	held := v.journal.held()
	all := make(map[string]hostEnd, len(names))
	for name := range names {
		if held[strings.TrimPrefix(name, interfacePrefix)] {
			continue
		}
		end, err := readHostEnd(name)
		if isGone(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all[name] = end
	}
	return all, nil
}

func readHostEnd(name string) (end hostEnd, err error) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return end, err
	}
	end.up = link.Attrs().Flags&net.FlagUp != 0
	end.arpOff = link.Attrs().RawFlags&unix.IFF_NOARP != 0
	end.ipv6Off, err = sysctlIs(ipv6Setting(name), "1")
	return end, err
}

// should is the same for each: in the userspace datapath the host's kernel sees a container's
// frames beside the switch, and must neither answer ARP nor speak IPv6 there. (The chain
// containers of our nftables table drops what it would take.)
func (v veths) should(context.Context) (hostEnd, error) {
	return hostEnd{arpOff: true, ipv6Off: true, up: true}, nil
}

func (v veths) makeSo(_ context.Context, should hostEnd, is map[string]hostEnd) error {
	var errs []error
	for name, end := range is {
		if end == should {
			continue
		}
		link, err := netlink.LinkByName(name)
		if err == nil {
			err = silenceAndRaise(link)
		}
		switch {
		case isGone(err):
		case err != nil:
			errs = append(errs, err)
		default:
			v.log.Warn("set a container's interface right", "interface", name)
		}
	}
	return errors.Join(errs...)
}

// isGone reports whether an interface was deleted meanwhile.
func isGone(err error) bool {
	var missing netlink.LinkNotFoundError
	return errors.As(err, &missing) || errors.Is(err, unix.ENODEV)
}
