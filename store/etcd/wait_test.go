package etcd

import (
	"context"
	"slices"
	"testing"
	"time"

	"sluice/store"
	"sluice/store/etcd/wire"
)

// noGateway is a host's exception that cannot be a tenant's gateway host.
func noGateway(tenant string) *store.StatusHost {
	x := refusing(store.TenantKey(tenant).Short())
	x.Problems[0].LeavesOut = store.LeavesOutGateway
	return x
}

// refusing is a host's exception whose switch refused flows of an object.
func refusing(object string) *store.StatusHost {
	return &store.StatusHost{State: store.HostRefused, Realized: 10, Problems: store.Problems{{Object: object, Text: "full"}}}
}

func TestRealization(t *testing.T) {
	port := store.PortKey("h1", "alice", "default", "a1")
	master := &store.Master{Controller: "c1"}
	for name, tc := range map[string]struct {
		master    *store.Master
		floor     *store.StatusController
		exception *store.StatusHost
		lacks     string // empty: realized
	}{
		"floor reached":               {master, &store.StatusController{Floor: 10}, nil, ""},
		"floor behind":                {master, &store.StatusController{Floor: 9}, nil, "behind"},
		"no floor":                    {master, nil, nil, "has not reported"},
		"no master":                   {nil, &store.StatusController{Floor: 10}, nil, "no master"},
		"exception behind":            {master, &store.StatusController{Floor: 10}, &store.StatusHost{State: store.HostBehind, Realized: 9}, "realized at revision 9"},
		"exception past it":           {master, &store.StatusController{Floor: 9}, &store.StatusHost{State: store.HostBehind, Realized: 10}, ""},
		"down":                        {nil, nil, &store.StatusHost{State: store.HostDown, Realized: 3}, "is down"},
		"another port's interface":    {master, nil, &store.StatusHost{State: store.HostMissing, Realized: 10, Missing: []string{"ports/h1/bob/default/b1"}}, ""},
		"the port's interface":        {master, nil, &store.StatusHost{State: store.HostMissing, Realized: 10, Missing: []string{port.Short()}}, "lacks its interface"},
		"another port is refused":     {master, nil, refusing("ports/h1/bob/default/b1"), ""},
		"the port is refused":         {master, nil, refusing(port.Short()), "not programmed on host h1: full"},
		"its network is":              {master, nil, refusing("networks/alice/default"), "full"},
		"another network is":          {master, nil, refusing("networks/alice/second"), ""},
		"its tenant is":               {master, nil, refusing("tenants/alice"), "full"},
		"its tenant's gateway is":     {master, nil, noGateway("alice"), ""},
		"all on the host is":          {master, nil, refusing("hosts/h1"), "full"},
		"the port's, by its full key": {master, nil, &store.StatusHost{State: store.HostMissing, Realized: 10, Missing: []string{port.String()}}, "lacks its interface"},
	} {
		r := realization{masters: map[string]*store.Master{}, floors: map[string]*store.StatusController{}, exceptions: map[string]*store.StatusHost{}}
		if tc.master != nil {
			r.masters["h1"] = tc.master
		}
		if tc.floor != nil {
			r.floors["c1"] = tc.floor
		}
		if tc.exception != nil {
			r.exceptions["h1"] = tc.exception
		}
		err := r.missing("h1", 10, port)
		if tc.lacks == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if tc.lacks != "" {
			t.Run(name, func(t *testing.T) { expect(t, err, store.ErrNotRealized, tc.lacks, "h1") })
		}
	}
}

// putStatus writes what controllers write.
func putStatus(t *testing.T, c *Client, key store.Key, o store.Object) {
	t.Helper()
	if err := c.PutStatus(testContext(t), []store.Event{{Key: key, Object: o}}); err != nil {
		t.Fatal(err)
	}
}

func TestWaitHost(t *testing.T) {
	c := start(t)
	ctx, cancel := shortContext(t)
	defer cancel()
	expect(t, c.WaitHost(ctx, "h1", 5, store.Key{}), store.ErrNotRealized, "no master")

	done := make(chan error)
	go func() { done <- c.WaitHost(testContext(t), "h1", 5, store.Key{}) }()
	putStatus(t, c, store.MasterKey("h1"), &store.Master{Controller: "c1"})
	putStatus(t, c, store.StatusControllerKey("c1"), &store.StatusController{Floor: 4})
	putStatus(t, c, store.StatusHostKey("h1"), &store.StatusHost{State: store.HostBehind, Realized: 4})
	putStatus(t, c, store.StatusControllerKey("c1"), &store.StatusController{Floor: 6})
	select {
	case err := <-done:
		t.Fatalf("it returned before the host was realized: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	putStatus(t, c, store.StatusHostKey("h1"), nil)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestWaitAll(t *testing.T) {
	c := start(t)
	for _, h := range []string{"h1", "h2", "h3"} {
		putStatus(t, c, store.MasterKey(h), &store.Master{Controller: "c1"})
	}
	putStatus(t, c, store.StatusControllerKey("c1"), &store.StatusController{Floor: 9})
	putStatus(t, c, store.StatusHostKey("h2"), &store.StatusHost{State: store.HostDown, Realized: 2})

	hosts := []string{"h1", "h2", "h3"}
	if behind, err := c.WaitAll(testContext(t), hosts, 2, store.Key{}); len(behind) > 0 || err != nil {
		t.Errorf("at 2: behind %v, %v", behind, err)
	}
	ctx, cancel := shortContext(t)
	defer cancel()
	if behind, err := c.WaitAll(ctx, hosts, 7, store.Key{}); !slices.Equal(behind, []string{"h2"}) || err != nil {
		t.Errorf("at 7: behind %v, %v", behind, err)
	}
	putStatus(t, c, store.StatusHostKey("h2"), refusing("tenants/alice"))
	for tenant, want := range map[string][]string{"alice": {"h2"}, "bob": nil} {
		ctx, cancel := shortContext(t)
		defer cancel()
		port := store.PortKey("h1", tenant, "default", "p1")
		if behind, err := c.WaitAll(ctx, hosts, 9, port); !slices.Equal(behind, want) || err != nil {
			t.Errorf("with a port of %s: behind %v, %v; want %v", tenant, behind, err, want)
		}
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.WaitAll(canceled, hosts, 7, store.Key{}); err == nil {
		t.Error("a canceled wait returned no error")
	}
	if behind, err := c.WaitAll(testContext(t), nil, 7, store.Key{}); len(behind) > 0 || err != nil {
		t.Errorf("no hosts: %v, %v", behind, err)
	}
}

// A floor that is written just when a wait begins is not missed.
func TestWaitMissesNoWrite(t *testing.T) {
	c := start(t)
	putStatus(t, c, store.MasterKey("h1"), &store.Master{Controller: "c1"})
	for floor := store.Revision(1); floor <= 50; floor++ {
		done := make(chan error)
		go func() { done <- c.WaitHost(testContext(t), "h1", floor, store.Key{}) }()
		putStatus(t, c, store.StatusControllerKey("c1"), &store.StatusController{Floor: floor})
		if err := <-done; err != nil {
			t.Fatalf("floor %d: %v", floor, err)
		}
	}
}

// A wait outlives a connection, and finds what was written meanwhile.
func TestWaitGoesOnAfterACut(t *testing.T) {
	c := start(t)
	p := wire.To(t, c.endpoints)
	through := connect(t, p.URL())
	putStatus(t, c, store.MasterKey("h1"), &store.Master{Controller: "c1"})
	done := make(chan error)
	go func() { done <- through.WaitHost(testContext(t), "h1", 5, store.Key{}) }()
	putStatus(t, c, store.StatusControllerKey("c1"), &store.StatusController{Floor: 4})
	p.Cut()
	putStatus(t, c, store.StatusControllerKey("c1"), &store.StatusController{Floor: 5})
	p.Join()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A tombstone goes when every registered host is past it, by floors and exceptions of one revision.
func TestRealizedEverywhere(t *testing.T) {
	c := start(t)
	ctx := testContext(t)
	lease, err := c.GrantLease(ctx, 60)
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Close()
	floor := func(name string, at store.Revision) func() {
		return func() { putStatus(t, c, store.StatusControllerKey(name), &store.StatusController{Floor: at}) }
	}
	exception := func(host string, at store.Revision) func() {
		return func() { putStatus(t, c, store.StatusHostKey(host), &store.StatusHost{Realized: at}) }
	}
	master := func(host, controller string) func() {
		return func() { putStatus(t, c, store.MasterKey(host), &store.Master{Controller: controller}) }
	}
	for _, step := range []struct {
		name string
		do   func()
		want store.Revision // 0, or -1: the store's own
	}{
		{"no hosts", floor("c1", 40), -1},
		{"a host without master", func() { register(t, c, "h1"); register(t, c, "h2"); master("h1", "c1")() }, 0},
		{"a master that says nothing", master("h2", "c2"), 0},
		{"floors ahead of the store", func() { floor("c1", 1000)(); floor("c2", 2000)() }, -1},
		{"the lower floor", func() { floor("c1", 4)(); floor("c2", 3)() }, 3},
		{"a floor of nobody's master", floor("c3", 1), 3},
		{"an exception below the floors", exception("h1", 2), 2},
		{"an exception above them", exception("h1", 5), 3},
		{"an exception of a host that is gone", exception("h9", 1), 3},
		{"a host that cannot be read", func() {
			if _, err := c.etcd.Put(ctx, store.HostKey("h8").String(), "rubbish"); err != nil {
				t.Fatal(err)
			}
		}, 0},
	} {
		step.do()
		now, err := c.etcd.Get(ctx, store.Prefix)
		if err != nil {
			t.Fatal(err)
		}
		if step.want < 0 {
			step.want = store.Revision(now.Header.Revision)
		}
		if got, err := c.RealizedEverywhere(ctx); got != step.want || err != nil {
			t.Errorf("%s: %d, %v; want %d", step.name, got, err, step.want)
		}
	}
}
