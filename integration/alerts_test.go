package integration

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"sluice/integration/lab"
	"sluice/pki"
	"sluice/store"
)

// fault makes something wrong in a cluster. What it returns mends that.
type fault func(t *testing.T) (mend func())

// fireTogether makes all faults, waits until each has had its alert, mends all, and waits until none fires.
func (p *prometheus) fireTogether(t *testing.T, faults map[string]fault) {
	p.await(t, "fire before their faults", faults, func(firing bool) bool { return !firing })
	var mends []func()
	mend := func() {
		for len(mends) > 0 {
			next := mends[0]
			mends = mends[1:]
			next()
		}
	}
	t.Cleanup(mend) // where the test ends before
	for _, alert := range slices.Sorted(maps.Keys(faults)) {
		mends = append(mends, faults[alert](t))
	}
	p.await(t, "do not fire", faults, func(firing bool) bool { return firing })
	mend()
	p.await(t, "still fire", faults, func(firing bool) bool { return !firing })
}

// await waits until each alert was once as wanted. Some fire for seconds, and others after a minute.
func (p *prometheus) await(t *testing.T, words string, faults map[string]fault, wanted func(firing bool) bool) {
	t.Helper()
	left := maps.Clone(faults)
	within(t, 3*time.Minute, "alerts", func() error {
		for alert := range left {
			firing, err := p.firing(alert)
			if err != nil {
				return err
			}
			if wanted(firing) {
				delete(left, alert)
			}
		}
		if len(left) > 0 {
			return fmt.Errorf("they %s: %v", words, slices.Sorted(maps.Keys(left)))
		}
		return nil
	})
}

// again does something over and over until stop is called.
func again(pause time.Duration, do func()) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			do()
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
		}
	})
	return func() { cancel(); running.Wait() }
}

// killed is a part of the lab that was killed.
func killed(part string) fault {
	return func(t *testing.T) func() {
		sluice(t, "lab", "kill", part)
		return func() {
			within(t, 2*time.Minute, part+" is there again", func() error { // a host that refuses flows is asked again later
				if _, stderr, status := command(t, "lab", "up"); status != 0 {
					return errors.New(stderr)
				}
				return nil
			})
		}
	}
}

// sharing is a flow by which frames of a port reach everybody, which somebody adds again whenever it is removed.
func sharing(st lab.Status, c lab.Container) fault {
	return func(t *testing.T) func() {
		flow := "table=0,priority=60000,in_port=" + sideOf(t, c).ofport + ",actions=NORMAL"
		return again(200*time.Millisecond, func() {
			_, _ = st.Hosts[0].Switch().OFCtl(context.Background(), "add-flow", store.BridgeName, flow) // the alert says whether it is there
		})
	}
}

// spoofing is a container that sends by an address that it was not given.
func spoofing(from, to lab.Container) fault {
	return func(t *testing.T) func() {
		w := tap(t, from)
		frame := ethernet(broadcast, hw("02:12:34:56:78:9a"), 0x0800, udp4(ipOf(from), ipOf(to), 1, 2, nil))
		return again(10*time.Millisecond, func() { w.send(t, frame) })
	}
}

// stranger is a switch on a host that says it has a datapath id.
func stranger(h lab.Host, name, id string) fault {
	return func(t *testing.T) func() {
		addImpostor(t, h, name, id, "ssl:172.30.0.100:6653")
		return func() {
			if _, err := h.Switch().VSCtl(context.Background(), "del-controller", name); err != nil {
				t.Error(err)
			}
		}
	}
}

// unreadable is an object that nobody can read.
func unreadable(client *clientv3.Client, key string) fault {
	return func(t *testing.T) func() {
		if _, err := client.Put(t.Context(), key, "{"); err != nil {
			t.Fatal(err)
		}
		return func() {
			if _, err := client.Delete(context.Background(), key); err != nil {
				t.Error(err)
			}
		}
	}
}

// lostPort is a port that etcd lost.
func lostPort(client *clientv3.Client, c lab.Container) fault {
	return func(t *testing.T) func() {
		key := store.PortKey(c.Host, c.Tenant, store.DefaultNetwork, c.Name).String()
		if _, err := client.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		return func() { sluice(t, "host", "adopt", c.Host) }
	}
}

// freedValue is a tenant's number that somebody freed, which the leader takes again.
func freedValue(client *clientv3.Client, tenant string) fault {
	return func(t *testing.T) func() {
		for key, value := range below(t, client, store.Under(store.KindAlloc)) {
			if strings.Contains(value, `"tenants/`+tenant+`"`) {
				if _, err := client.Delete(t.Context(), key); err != nil {
					t.Fatal(err)
				}
				return func() {}
			}
		}
		t.Fatalf("%s has no number", tenant)
		return nil
	}
}

// full is a table of a host's switch that takes no more flows, into which a container on another host brings some.
func full(h lab.Host, table, tenant string) fault {
	return func(t *testing.T) func() {
		set := func(limit string) {
			if _, err := h.Switch().VSCtl(context.Background(), "set", "Flow_Table", table, "flow_limit="+limit, "overflow_policy=refuse"); err != nil {
				t.Error(err)
			}
		}
		set("1")
		late := tenant + "-late"
		command(t, "lab", "run", "h1", tenant, late) // it may be told that a host is behind
		return func() {
			set("[]")
			command(t, "lab", "rm", late)
		}
	}
}

// drift is a switch that lost flows, which an audit brings back.
func drift(h lab.Host) fault {
	return func(t *testing.T) func() {
		if _, err := h.Switch().OFCtl(t.Context(), "del-flows", store.BridgeName, "table=0"); err != nil {
			t.Fatal(err)
		}
		return func() {}
	}
}

// ending is a controller's certificate that ends soon.
func ending(m lab.Machine) fault {
	return func(t *testing.T) func() {
		issue := func(lifetime time.Duration) {
			dir := filepath.Join(lab.Dir, "pki", m.Name)
			authority, err := pki.OpenAuthority(dir)
			if err == nil {
				err = authority.Issue(dir, pki.Controller(m.Name), []string{m.Address.String()}, lifetime)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		issue(6 * 24 * time.Hour)
		return func() { issue(pki.Lifetime) }
	}
}

// crowd is a host from which more connections come than a controller keeps of those that it does not know.
func crowd(h lab.Host) fault {
	return func(t *testing.T) func() {
		var open []net.Conn
		err := lab.InNamespace(h.NetNS, func() error {
			for range 2100 {
				conn, err := net.Dial("tcp", "172.30.0.100:6653")
				if err != nil {
					return err
				}
				open = append(open, conn)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		return func() {
			for _, c := range open {
				_ = c.Close() // the controller ended some
			}
		}
	}
}

// emptied is an etcd whose directory is away.
func emptied(t *testing.T) func() {
	dir, _, _ := labEtcd(t)
	sluice(t, "lab", "kill", "controller")
	rename(t, dir, dir+".right")
	command(t, "lab", "up") // it fails, and TestEmptyEtcdDestroysNothing says how
	return func() {
		sluice(t, "lab", "kill", "controller")
		putBack(dir)
		sluice(t, "lab", "up")
	}
}

// alerts fire on their faults in the lab, and are resolved once the faults are mended. Most are made at once, those that
// end the controller once calm is closed.
func (p *prometheus) alerts(t *testing.T, st lab.Status, calm <-chan struct{}) {
	operator := dialEtcd(t, clientv3.Config{Endpoints: []string{st.Etcd}, Logger: zap.NewNop()})
	tenant(t, "alarmed")
	tenant(t, "lost")
	a, b := container(t, "h1", "alarmed", "alarmed-1"), container(t, "h2", "alarmed", "alarmed-2")
	c := container(t, "h1", "lost", "lost-1")
	eventually(t, "Prometheus scrapes", func() error { return p.shows(`sluice_isolation_proof_timestamp_seconds{host="h3"}`) })
	id, err := st.Hosts[0].Switch().VSCtl(t.Context(), "get", "bridge", store.BridgeName, "datapath_id")
	if err != nil {
		t.Fatal(err)
	}
	nothing := func(*testing.T) func() { return func() {} }
	p.fireTogether(t, map[string]fault{
		"SluiceCertificateEnds":    ending(st.Controllers[0]),
		"SluiceFlowModsRefused":    full(st.Hosts[1], "forward", "alarmed"),
		"SluiceHostAsks":           lostPort(operator, c),
		"SluiceHostBehind":         nothing, // of the switch that refuses flows
		"SluiceHostDown":           killed("switch/h3"),
		"SluiceIsolationNotProved": sharing(st, a),
		"SluiceProblems":           unreadable(operator, store.Prefix+"tenants/broken"),
		"SluiceProofOld":           nothing, // of the switch that was killed
		"SluiceStrangersDropped":   crowd(st.Hosts[1]),
		"SluiceTakenValuesMended":  freedValue(operator, "alarmed"),
		"SluiceTenantSpoofs":       spoofing(b, a), // what a sends is shared
		"SluiceUnknownSwitch":      stranger(st.Hosts[1], "unknown", "00000000000000aa"),
	})
	p.fireTogether(t, map[string]fault{
		"SluiceImpostor": stranger(st.Hosts[1], "impostor", strings.Trim(strings.TrimSpace(id), `"`)), // of which `sluice status` tells for ten minutes
		"SluiceDrift":    drift(st.Hosts[1]),
	})
	<-calm
	p.fireTogether(t, map[string]fault{
		"SluiceControllerDown": killed("controller"),
		"SluiceNoLeader":       nothing, // of the only controller
	})
	scraped(t, st)
	p.fireTogether(t, map[string]fault{"SluiceStoreHeld": emptied})
}

// Each alert that is shipped has its fault in a test here. One has none: without etcd a leader leads for some seconds
// only, and promtool alone tries SluiceTenantSumsMissing.
func TestEveryAlertHasItsFault(t *testing.T) {
	rules, err := os.ReadFile(filepath.Join(shippedMonitoring, "sluice.rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var tests strings.Builder
	for _, file := range []string{"alerts_test.go", "monitoring_test.go"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tests.Write(text)
	}
	alerts := regexp.MustCompile(`(?m)^ +- alert: (\w+)$`).FindAllStringSubmatch(string(rules), -1)
	if len(alerts) == 0 {
		t.Error("the rules have no alert")
	}
	for _, alert := range alerts {
		if alert[1] != "SluiceTenantSumsMissing" && !strings.Contains(tests.String(), strconv.Quote(alert[1])) {
			t.Errorf("%s is fired by no test", alert[1])
		}
	}
}
