package controller

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/store"
)

// Floors of revisions that etcd has taken back would vouch for others of the same number.
func TestEtcdGoesBack(t *testing.T) {
	c, err := New(Options{Name: "c1", Registry: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	for _, rev := range []store.Revision{10, 10, 12} {
		if err := c.apply(store.Batch{Revision: rev}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.apply(store.Batch{Revision: 11}); err == nil || !strings.Contains(err.Error(), "from revision 12 to 11") {
		t.Errorf("got %v", err)
	}
}
