package ovsrun

import (
	"context"
	"regexp"

	"github.com/digitalocean/go-openvswitch/ovs"
)

// Trace is what Open vSwitch says that it does with a frame in a bridge. The frame is as
// ovs-ofctl(8) writes it.
func (s Switch) Trace(ctx context.Context, bridge, frame string) (*ovs.ProtoTrace, error) {
	client := ovs.New(ovs.Exec(func(program string, args ...string) ([]byte, error) {
		out, err := s.run(ctx, program, args...)
		return anyPort.ReplaceAll(out, nil), err
	}))
	return client.App.ProtoTrace(bridge, "", []ovs.Match{match(frame)})
}

// anyPort is the in_port of a frame that may leave where it came from. go-openvswitch fails to
// read a trace that has it.
var anyPort = regexp.MustCompile(`,in_port=ANY\b|\bin_port=ANY,`)

// match stands for go-openvswitch's matches, which lack fragments and ND options.
type match string

// MarshalText is the match in ovs-ofctl's syntax.
func (m match) MarshalText() ([]byte, error) { return []byte(m), nil }

// GoString is there because go-openvswitch asks for it.
func (m match) GoString() string { return string(m) }
