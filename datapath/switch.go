package datapath

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"time"

	"sluice/datapath/openflow"
)

var errTODO = errors.New("not implemented")

type Options struct {
	Log          *slog.Logger
	EchoInterval time.Duration
	Timeout      time.Duration
	QueueBytes   int
	TLS          *tls.Config
}

func Serve(ctx context.Context, l net.Listener, o Options, connected func(ctx context.Context, s *Switch)) error {
	return errTODO
}

type Switch struct{}

func (s *Switch) DatapathID() uint64 { return 0 }
func (s *Switch) RemoteAddr() string { return "" }
func (s *Switch) Close(reason error) {}
func (s *Switch) Err() error         { return nil }

type Role uint32

const (
	RoleNoChange Role = iota
	RoleEqual
	RoleMaster
	RoleSlave
)

var (
	ErrStale   = errors.New("stale generation")
	ErrDemoted = errors.New("not master")
)

type Port struct {
	Number        uint32
	Name          string
	MAC           [6]byte
	Config, State uint32
}

func (s *Switch) Role(ctx context.Context) (Role, uint64, error)              { return 0, 0, errTODO }
func (s *Switch) Become(ctx context.Context, r Role, generation uint64) error { return errTODO }
func (s *Switch) Ports(ctx context.Context) ([]Port, error)                   { return nil, errTODO }
func (s *Switch) Flows(ctx context.Context, cookies []uint64, yield func(*openflow.FlowStats) bool) error {
	return errTODO
}
func (s *Switch) TableFlows(ctx context.Context, table uint8, yield func(*openflow.FlowStats) bool) error {
	return errTODO
}

type Mod struct {
	Command    openflow.Command
	Flow       openflow.Flow
	CookieMask uint64
}

type Bundle struct{ Mods []Mod }

type RefusedError struct {
	Mod Mod
	Err error
}

func (e *RefusedError) Error() string { return e.Err.Error() }
func (e *RefusedError) Unwrap() error { return e.Err }

func (s *Switch) Commit(ctx context.Context, b *Bundle) error   { return errTODO }
func (s *Switch) Apply(ctx context.Context, mods []Mod) []error { return nil }

// Event is one of PortEvent, FlowRemoved, Demoted and Overflow.
type Event interface{ isEvent() }

type PortReason uint8

const (
	PortAdded PortReason = iota
	PortDeleted
	PortModified
)

type (
	PortEvent struct {
		Reason PortReason
		Port   Port
	}
	FlowRemoved struct {
		Flow   openflow.FlowStats
		Reason uint8
	}
	Demoted  struct{}
	Overflow struct{}
)

func (PortEvent) isEvent()   {}
func (FlowRemoved) isEvent() {}
func (Demoted) isEvent()     {}
func (Overflow) isEvent()    {}

func (s *Switch) Events() <-chan Event { return nil }
