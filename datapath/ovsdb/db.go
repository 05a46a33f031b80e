package ovsdb

import (
	"context"
	"errors"
	"log/slog"
)

var errTODO = errors.New("not implemented")

// DB is a connection to one Open_vSwitch database. It reconnects by itself.
type DB struct{}

// Dial connects to the database at endpoint, such as unix:/run/openvswitch/db.sock.
func Dial(ctx context.Context, endpoint string, log *slog.Logger) (*DB, error) { return nil, errTODO }

// Close ends the connection.
func (d *DB) Close() {}

// Bridge is what EnsureBridge makes true.
type Bridge struct {
	Name         string
	DatapathType string // "system" or "netdev"; empty: the system's
	DatapathID   string // 16 hexadecimal digits
	FailMode     string // "secure" by default
	Controllers  []string
	Protocols    []string // OpenFlow13 by default
	OtherConfig  map[string]string
}

// EnsureBridge creates or corrects a bridge.
func (d *DB) EnsureBridge(ctx context.Context, b Bridge) (changed bool, err error) {
	return false, errTODO
}

// Interface is what EnsurePort makes true.
type Interface struct {
	Name, Type           string
	Options, ExternalIDs map[string]string
	MAC                  string
	MTU                  int
	OFPort               uint32 // requested OpenFlow port; 0: any
}

// EnsurePort creates or corrects a port with one interface of the same name.
func (d *DB) EnsurePort(ctx context.Context, bridge string, i Interface) error { return errTODO }

// DeletePort removes a port; no error when there is none.
func (d *DB) DeletePort(ctx context.Context, bridge, name string) error { return errTODO }

// InterfaceStatus is an interface as the switch reports it.
type InterfaceStatus struct {
	Name        string
	OFPort      int    // 0: not assigned yet; -1: refused, see Error
	Error       string // why the switch could not open it
	ExternalIDs map[string]string
}

// Ports lists the bridge's interfaces.
func (d *DB) Ports(ctx context.Context, bridge string) ([]InterfaceStatus, error) {
	return nil, errTODO
}

// NameTables gives the bridge's OpenFlow tables their names.
func (d *DB) NameTables(ctx context.Context, bridge string, names map[int]string) error {
	return errTODO
}
