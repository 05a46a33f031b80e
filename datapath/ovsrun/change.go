package ovsrun

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/digitalocean/go-openvswitch/ovs"
)

// Change is one transaction of ovs-vsctl while it is put together. It has go-openvswitch's
// words, each of which would run a command of its own elsewhere: half a second for a bridge
// with its settings, and a bridge of the wrong datapath type in between.
type Change struct {
	*ovs.VSwitchService
	args []string
}

// Also adds a command that go-openvswitch cannot express, such as one that sets the datapath
// type of a bridge or the number of a port.
func (c *Change) Also(args ...string) error {
	c.args = append(append(c.args, "--"), args...)
	return nil
}

// Change commits the commands that say asks for, in their order, and returns when
// ovs-vswitchd has taken them over. say joins what the commands return; those that look at
// something find nothing.
func (s Switch) Change(ctx context.Context, say func(c *Change) error) error {
	c := &Change{}
	c.VSwitchService = ovs.New(ovs.Exec(func(_ string, args ...string) ([]byte, error) {
		return nil, c.Also(args...)
	})).VSwitch
	if err := say(c); err != nil {
		return err
	}
	_, err := s.VSCtl(ctx, c.args...)
	return err
}

// AddUserspaceBridge makes a bridge in the userspace datapath that does nothing of its own: it
// forwards by flows alone and adds none for its controllers. settings are columns of each of
// their rows.
func (c *Change) AddUserspaceBridge(name string, controllers []string, settings ...string) error {
	err := errors.Join(
		c.AddBridge(name),
		c.Also("set", "bridge", name, "datapath_type=netdev", "other_config:disable-in-band=true"),
		c.SetFailMode(name, ovs.FailModeSecure),
		c.Set.Bridge(name, ovs.BridgeOptions{Protocols: []string{ovs.ProtocolOpenFlow13}}),
	)
	if len(controllers) == 0 {
		return err
	}
	// SetController takes one target, and no settings of it.
	ids := make([]string, len(controllers))
	for i, target := range controllers {
		ids[i] = fmt.Sprint("@c", i)
		row := []string{"--id=" + ids[i], "create", "controller", fmt.Sprintf("target=%q", target),
			"connection_mode=out-of-band", "max_backoff=1000"}
		err = errors.Join(err, c.Also(append(row, settings...)...))
	}
	return errors.Join(err, c.Also("set", "bridge", name, "controller="+strings.Join(ids, ",")))
}
