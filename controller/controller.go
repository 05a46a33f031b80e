package controller

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/store"
	"sluice/store/etcd"
)

// Options are what a controller needs. Zero durations take the defaults.
type Options struct {
	Name     string       // unique among live controllers
	Store    *etcd.Client // where desired state lives
	OpenFlow net.Listener // where switches dial in
	Listen   store.LiveController
	Registry prometheus.Registerer
	Log      *slog.Logger

	AuditInterval   time.Duration // a full read-back of each switch; default 60 s
	CounterInterval time.Duration // reading of the accounting tables; default 2 s
}

// Controller programs the switches of the hosts that it masters.
type Controller struct {
	opts Options

	mu    sync.RWMutex // guards state
	state *store.State
}

// New makes a controller; Run starts it.
func New(o Options) *Controller {
	return &Controller{opts: o, state: store.NewState()}
}

// Run works until ctx ends or the store's watch fails for good.
func (c *Controller) Run(ctx context.Context) error { panic("unwritten") }
