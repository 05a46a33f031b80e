// Package ovsdb configures a host's Open vSwitch through its database (RFC 7047): the bridge
// with its controllers, ports, and the names of the tables. Ensure... and NameTables make them
// what they must be; Bridge, Port and TableNames read what they are.
//
// It brings up what the OpenFlow sessions of package datapath then program, and it is the
// host agent's: a controller never opens a host's database.
//
// It must never touch a bridge, port or controller that it was not told to, and never
// delete and add again what is already right: deleting the last controller of a bridge
// flushes every flow, also with fail_mode=secure.
package ovsdb
