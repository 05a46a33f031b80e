package ovsdb

import (
	"maps"
	"slices"
	"sync"

	"github.com/ovn-kubernetes/libovsdb/cache"
	"github.com/ovn-kubernetes/libovsdb/model"
)

// edits tells what others change of what this package makes true: ports and bridges that go,
// settings of bridges, the SSL row. What is done by DeletePort here is no edit.
type edits struct {
	bell chan struct{} // holds one word until it is taken

	mu   sync.Mutex
	ours map[string]int // ports whose deletion was asked for here, and not seen yet
}

func newEdits() *edits { return &edits{bell: make(chan struct{}, 1), ours: make(map[string]int)} }

// Edited says that somebody else may have changed what was made here; several changes become
// one word. A connection that is new says so too: what happened before was not heard.
func (d *DB) Edited() <-chan struct{} { return d.edits.bell }

func (e *edits) ring() {
	select {
	case e.bell <- struct{}{}:
	default:
	}
}

// deleting notes that a port's deletion is asked for here; failed takes it back.
func (e *edits) deleting(port string) (failed func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ours[port]++
	return func() { e.isOurs(port) }
}

// isOurs reports whether a deletion of the port was asked for here, and forgets it.
func (e *edits) isOurs(port string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := e.ours[port]
	if n > 1 {
		e.ours[port] = n - 1
	} else {
		delete(e.ours, port)
	}
	return n > 0
}

func (e *edits) handler() cache.EventHandler {
	return &cache.EventHandlerFuncs{
		UpdateFunc: func(_ string, was, is model.Model) {
			if settingsDiffer(was, is) {
				e.ring()
			}
		},
		DeleteFunc: func(_ string, gone model.Model) {
			switch row := gone.(type) {
			case *portRow:
				if !e.isOurs(row.Name) {
					e.ring()
				}
			case *bridgeRow, *controllerRow, *sslRow:
				e.ring()
			}
		},
	}
}

// settingsDiffer reports whether a row says something else now that this package decides. What
// the switch itself writes, such as a connection's state, is none of that.
func settingsDiffer(was, is model.Model) bool {
	switch is := is.(type) {
	case *bridgeRow:
		was := was.(*bridgeRow)
		return was.DatapathType != is.DatapathType || !equal(was.FailMode, is.FailMode) ||
			!slices.Equal(was.Protocols, is.Protocols) || !slices.Equal(was.Controllers, is.Controllers) ||
			!maps.Equal(was.FlowTables, is.FlowTables) || !maps.Equal(was.OtherConfig, is.OtherConfig)
	case *interfaceRow:
		was := was.(*interfaceRow)
		return was.Type != is.Type || !maps.Equal(was.Options, is.Options) || !maps.Equal(was.ExternalIDs, is.ExternalIDs)
	case *rootRow:
		return !equal(was.(*rootRow).SSL, is.SSL)
	case *sslRow:
		return *was.(*sslRow) != *is
	}
	return false
}
