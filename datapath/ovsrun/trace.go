package ovsrun

import (
	"context"
	"regexp"
	"strings"

	"github.com/digitalocean/go-openvswitch/ovs"
)

// Trace is what Open vSwitch says that it does with a frame in a bridge. The frame is as
// ovs-ofctl(8) writes it: fields with their values, and at most one protocol.
func (s Switch) Trace(ctx context.Context, bridge, frame string) (*ovs.ProtoTrace, error) {
	var protocol ovs.Protocol
	var matches []ovs.Match
	for word := range strings.SplitSeq(frame, ",") {
		if field, value, ok := strings.Cut(word, "="); ok {
			matches = append(matches, ovs.FieldMatch(field, value))
		} else {
			protocol = ovs.Protocol(word)
		}
	}
	client := ovs.New(ovs.Exec(func(program string, args ...string) ([]byte, error) {
		out, err := s.run(ctx, program, args...)
		return anyPort.ReplaceAll(out, nil), err
	}))
	return client.App.ProtoTrace(bridge, protocol, matches)
}

// anyPort is the in_port of a frame that may leave where it came from. go-openvswitch fails to
// read a trace that has it.
var anyPort = regexp.MustCompile(`,in_port=ANY\b|\bin_port=ANY,`)
