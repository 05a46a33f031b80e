package bench

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"sluice/datapath/ovsrun"
	"sluice/integration/lab"
)

// ovs is an Open vSwitch of its own: a directory, and a network namespace that lives and
// dies with its ovs-vswitchd.
type ovs struct{ *ovsrun.Private }

// ovsPrograms are what a case with a switch of its own runs.
var ovsPrograms = append([]string{"ip"}, ovsrun.Programs...)

// startOVS starts one without bridges; close removes it.
func startOVS(ctx context.Context) (o *ovs, err error) {
	dir, err := os.MkdirTemp("", "sluice-bench-")
	if err != nil {
		return nil, err
	}
	private, err := ovsrun.Start(ctx, dir)
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	o = &ovs{private}
	if _, err := output(ctx, "", o.Inside("ip", "link", "set", "lo", "up")...); err != nil {
		o.close()
		return nil, err
	}
	return o, nil
}

// close ends the daemons and removes what they left.
func (o *ovs) close() {
	o.Close()
	os.RemoveAll(o.Dir)
}

// ofctl runs ovs-ofctl on a bridge; what it prints goes to out, or to /dev/null where out is nil.
func (o *ovs) ofctl(ctx context.Context, out io.Writer, args ...string) error {
	cmd := o.Command(ctx, "ovs-ofctl", args...)
	var stderr strings.Builder
	cmd.Stdout, cmd.Stderr = out, &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("ovs-ofctl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return nil
}

// inside calls f on a thread in the switch's network namespace: sockets that f opens belong
// there.
func (o *ovs) inside(f func() error) error { return lab.InNamespaceAt(o.NetNS(), f) }

// listen opens a port for switches in the switch's namespace.
func (o *ovs) listen() (l net.Listener, target string, err error) {
	err = o.inside(func() error {
		l, err = net.Listen("tcp", "127.0.0.1:0")
		return err
	})
	if err != nil {
		return nil, "", err
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return l, "tcp:127.0.0.1:" + port, nil
}

// dial connects to a port in the switch's namespace.
func (o *ovs) dial(address string) (c net.Conn, err error) {
	err = o.inside(func() error {
		c, err = net.Dial("tcp", address)
		return err
	})
	return c, err
}
