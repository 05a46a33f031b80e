package session

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/datapath"
	"sluice/store"
)

// runs runs the session, and says with what it ended.
func runs(ctx context.Context, s *session) <-chan error {
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	return ended
}

// A session ends with its switch or its context, and says why; a later master ends it too, since
// an equal might write.
func TestRunEnds(t *testing.T) {
	b := newBench(t, false)
	b.register()
	b.bridge()
	again := func() *session {
		b.ovs.VSCtl("del-controller", store.BridgeName)
		b.ovs.VSCtl("set-controller", store.BridgeName, b.target)
		return b.session()
	}
	s := b.session()
	ended := runs(t.Context(), s)
	b.eventually("it is the master", func() bool { return s.getRole() == datapath.RoleMaster })
	s.sw.Close(errReplaced)
	if err := <-ended; !errors.Is(err, errReplaced) {
		t.Errorf("with its switch it ended with %v", err)
	}
	if s.getRole() == datapath.RoleMaster {
		t.Error("it holds itself for the master still")
	}

	s = again()
	ctx, cancel := context.WithCancel(t.Context())
	ended = runs(ctx, s)
	b.eventually("it is the master", func() bool { return s.getRole() == datapath.RoleMaster })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("with its context it ended with %v", err)
	}
	if b.log.says("not the switch's master") {
		t.Error("that it ends is told as a failure")
	}

	other := again()
	b.ovs.VSCtl("set-controller", store.BridgeName, b.target, b.alias())
	s = b.session()
	etcd := b.srv.Store
	b.srv.Store = overtaken{etcd, func() {
		if err := other.sw.Become(t.Context(), datapath.RoleMaster, 5000); err != nil {
			t.Error(err)
		}
	}}
	if err := <-runs(t.Context(), s); !errors.Is(err, datapath.ErrStale) || s.sw.Err() != nil {
		t.Errorf("overtaken, it ended with %v", err)
	}
}

// alias is another name of the target, so that the switch dials it twice.
func (b *bench) alias() string {
	b.t.Helper()
	path := strings.TrimPrefix(b.target, "unix:")
	b.must(os.Symlink(path, path+"-again"))
	return b.target + "-again"
}

// overtaken is an etcd in which a claim is written just before somebody else becomes the
// switch's master.
type overtaken struct {
	Store
	overtake func()
}

func (o overtaken) Claim(ctx context.Context, host string, claim *store.Master, modified store.Revision, lease clientv3.LeaseID, status *store.StatusHost) (store.Revision, error) {
	rev, err := o.Store.Claim(ctx, host, claim, modified, lease, status)
	o.overtake()
	return rev, err
}

// Who follows looks again when something changed, or when nobody came for the host for long; it
// takes in the switch's ports meanwhile, and ends with the switch.
func TestFollowLooksAgain(t *testing.T) {
	b := newBench(t, false)
	b.register()
	b.bridge()
	s, ctx := b.session(), t.Context()
	changed := make(chan struct{}, 1)
	changed <- struct{}{}
	b.must(s.follow(ctx, changed))
	role, _, err := s.sw.Role(ctx)
	b.must(err)
	if role != datapath.RoleSlave || s.getRole() != datapath.RoleSlave || !b.knows(store.TunnelInterface) {
		t.Errorf("who follows has role %v, and holds it for %v", role, s.getRole())
	}
	s.orphaned = time.Now().Add(10*time.Millisecond - orphanTime)
	bounded, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := s.follow(bounded, changed); err != nil {
		t.Errorf("of a host that is neglected: %v", err)
	}
	s.orphaned = time.Time{}
	ended, stop := context.WithCancel(ctx)
	stop()
	if err := s.follow(ended, changed); !errors.Is(err, context.Canceled) {
		t.Errorf("ended: %v", err)
	}
	s.sw.Close(errReplaced)
	if err := s.follow(ctx, changed); !errors.Is(err, errReplaced) {
		t.Errorf("with its switch gone: %v", err)
	}
}
