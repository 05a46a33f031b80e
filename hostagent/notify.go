package hostagent

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"syscall"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// bell rings when something that a keeper keeps, or builds on, may have changed. Rings while
// nobody listens become one.
type bell chan struct{}

func newBell() bell { return make(bell, 1) }

func (b bell) ring() {
	select {
	case b <- struct{}{}:
	default:
	}
}

// wait returns when the bell rang, after limit, or when ctx ends.
func (b bell) wait(ctx context.Context, limit time.Duration) {
	select {
	case <-b:
	case <-time.After(limit):
	case <-ctx.Done():
	}
}

// notifications are messages that the kernel sends of its own accord: those of some groups of a
// netlink protocol, in the agent's network namespace.
type notifications struct {
	protocol int
	groups   []uint
	// concern reports whether a message is a reason to look.
	concern func(syscall.NetlinkMessage) bool
}

// listen rings the bell at each message that is of concern, until ctx ends. It rings too when
// messages were lost, and each time that it begins to listen: what happened before was not heard.
func (n notifications) listen(ctx context.Context, b bell) {
	for ctx.Err() == nil {
		if socket, err := nl.Subscribe(n.protocol, n.groups...); err == nil {
			b.ring()
			n.receive(ctx, socket, b)
			socket.Close()
		}
		pause(ctx, retryInterval) // the keeper that waits for the bell looks now and then in any case
	}
}

// receive returns when ctx ends or the socket fails.
func (n notifications) receive(ctx context.Context, socket *nl.NetlinkSocket, b bell) {
	defer context.AfterFunc(ctx, socket.Close)()
	for {
		messages, _, err := socket.Receive()
		switch {
		case errors.Is(err, unix.ENOBUFS): // the kernel dropped some, and goes on
			b.ring()
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return
		}
		for _, m := range messages {
			if n.concern(m) {
				b.ring()
			}
		}
	}
}

// nftablesNotifications tell of changes to our own nftables table, whoever makes them.
var nftablesNotifications = notifications{
	protocol: unix.NETLINK_NETFILTER, groups: []uint{unix.NFNLGRP_NFTABLES}, concern: ofOurTable,
}

// ofOurTable reports whether a message of nftables is about our own table. After a header of
// family, version and resource id the first attribute of each object's message names its table
// (linux/netfilter/nf_tables.h). NFT_MSG_NEWGEN, which ends each transaction, has none.
func ofOurTable(m syscall.NetlinkMessage) bool {
	if m.Header.Type&0xff == unix.NFT_MSG_NEWGEN || len(m.Data) < nl.SizeofNfgenmsg+unix.SizeofNlAttr {
		return false
	}
	family, attribute := m.Data[0], m.Data[nl.SizeofNfgenmsg:]
	size := int(binary.NativeEndian.Uint16(attribute))
	if family != unix.NFPROTO_INET || size < unix.SizeofNlAttr || size > len(attribute) {
		return false
	}
	return string(bytes.TrimRight(attribute[unix.SizeofNlAttr:size], "\x00")) == tableName
}
