// Package fake simulates switches, thousands of them in one process. One speaks OpenFlow 1.3 as
// datapath's sessions use it: hello, features, echo, roles with their generations, port
// descriptions and port status, flow mods, bundles, barriers, flow statistics, flow removed. It
// holds flows and forwards nothing, so its counters stay zero and no timeout of a flow ends.
//
// It refuses what Open vSwitch 3.1 refuses, with the same errors, as far as a controller can
// come upon it: writes of a slave, stale generations, a goto_table that does not lead forward,
// overlaps where asked to look for them, tables that there are not, bundles that were not opened.
// The conformance test holds one suite of conversations with it and with Open vSwitch. It does
// not check matches and actions further. It has no groups and no packets, and its meters drop nothing. Two
// matches are one to it where their bytes are equal, as they are that our own encoder makes.
//
// It serves benchmarks and tests of scale alone. Whatever has to do with what a switch really
// does is tested with Open vSwitch.
package fake
