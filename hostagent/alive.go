package hostagent

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"sluice/store"
)

const (
	// aliveInterval is how often the live hosts are read where no change is told.
	aliveInterval = 15 * time.Second
	// restPerHost is how long to rest after a look, for each live host. After an outage of etcd
	// all agents return at once, and each of them reads all at each look.
	restPerHost = 2 * time.Millisecond
)

// alive knows which hosts' agents are alive: an attach waits for no other host's flows.
type alive struct {
	store    Store
	problems *problems

	mu    sync.Mutex
	hosts []string
}

// run keeps the knowledge fresh until ctx ends.
func (l *alive) run(ctx context.Context) {
	for ctx.Err() == nil {
		at, err := l.look(ctx)
		if ctx.Err() != nil {
			return
		}
		l.problems.report("live hosts", err)
		if err != nil {
			pause(ctx, unknownInterval)
			continue
		}
		pause(ctx, restPerHost*time.Duration(len(l.all())))
		await(ctx, aliveInterval, at, l.store.LiveChanged)
	}
}

// look reads the live hosts, and returns the revision that it read them at.
func (l *alive) look(ctx context.Context) (store.Revision, error) {
	live, at, err := l.store.List(ctx, store.KindLiveHost)
	if err != nil {
		return 0, fmt.Errorf("list live hosts: %w", err)
	}
	names := make([]string, 0, len(live))
	for _, e := range live {
		names = append(names, e.Key.Host)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hosts = names
	return at, nil
}

// all are the live hosts, sorted.
func (l *alive) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hosts
}

// among are those of some hosts that are alive.
func (l *alive) among(hosts []string) []string {
	live := l.all()
	return slices.DeleteFunc(slices.Clone(hosts), func(h string) bool { return !slices.Contains(live, h) })
}
