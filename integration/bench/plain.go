package bench

import (
	"bufio"
	"io"
	"net"

	"sluice/datapath"
	"sluice/datapath/openflow"
)

// plainBundle is a bundle as bytes, encoded before the clock starts: what is left is the
// switch's own work and one copy to a socket.
type plainBundle struct{ adds, commit []byte }

// Transaction ids of its messages.
const (
	plainOpen = iota + 1
	plainFence
	plainCommit
	plainConfirm
	plainAdd // of every flow
)

const plainFlags = openflow.BundleAtomic | openflow.BundleOrdered

func encodePlain(mods []datapath.Mod) plainBundle {
	const id = 1
	control := func(b []byte, xid uint32, step openflow.BundleStep) []byte {
		return openflow.AppendBundleControl(b, xid, openflow.BundleControl{Bundle: id, Step: step, Flags: plainFlags})
	}
	var p plainBundle
	p.adds = control(nil, plainOpen, openflow.BundleOpen)
	for i := range mods {
		p.adds = openflow.AppendBundleFlowMod(p.adds, plainAdd, id, plainFlags, &mods[i])
	}
	p.adds = openflow.AppendBarrierRequest(p.adds, plainFence)
	p.commit = openflow.AppendBarrierRequest(control(nil, plainCommit, openflow.BundleCommit), plainConfirm)
	return p
}

// send writes the bundle as it is, the adds up to their barrier first as Commit does.
func (p plainBundle) send(c net.Conn, in *bufio.Reader) error {
	if _, err := c.Write(p.adds); err != nil {
		return err
	}
	if err := awaitBarrier(in, plainFence); err != nil {
		return err
	}
	if _, err := c.Write(p.commit); err != nil {
		return err
	}
	return awaitBarrier(in, plainConfirm)
}

// awaitBarrier reads until the answer to a barrier; a refusal is an error.
func awaitBarrier(in *bufio.Reader, xid uint32) error {
	for {
		b, err := in.Peek(openflow.HeaderLength)
		if err != nil {
			return err
		}
		h, err := openflow.ParseHeader(b)
		if err != nil {
			return err
		}
		message := make([]byte, h.Length)
		if _, err := io.ReadFull(in, message); err != nil {
			return err
		}
		switch {
		case h.Type == openflow.TypeError:
			refusal, err := openflow.DecodeError(message)
			if err != nil {
				return err
			}
			return refusal
		case h.Type == openflow.TypeBarrierReply && h.XID == xid:
			return nil
		}
	}
}

// greet exchanges hellos.
func greet(c net.Conn) (*bufio.Reader, error) {
	const xid = 0
	if _, err := c.Write(openflow.AppendHello(nil, xid)); err != nil {
		return nil, err
	}
	in := bufio.NewReader(c)
	b := openflow.AppendBarrierRequest(nil, plainFence)
	if _, err := c.Write(b); err != nil {
		return nil, err
	}
	return in, awaitBarrier(in, plainFence)
}
