// Package openflow speaks OpenFlow 1.3 with Nicira extensions, as Open vSwitch does:
// flows as values, their wire form, and their text in the syntax of ovs-ofctl(8).
//
// It is a leaf: pure, without context, clock, logger or socket. Package flows compiles to
// its Flow, package datapath carries its bytes.
//
// It must never drop a field silently: what a decoder cannot represent is an error or is
// kept as opaque bytes. No input, however hostile, may make it panic.
package openflow
