package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"sluice/integration/lab"
	"sluice/store"
	"sluice/store/etcd/backuptest"
)

// labEtcd is the directory of the lab's embedded etcd, and its peers' URL.
func labEtcd(t *testing.T) (dir, name, peerURL string) {
	t.Helper()
	return filepath.Join(lab.Dir, "controller-c1", "etcd"), "c1", "https://172.30.0.100:2380"
}

// interfacesOf is what hosts have of containers' interfaces.
func interfacesOf(t *testing.T, st lab.Status) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, h := range st.Hosts {
		ports, err := h.ContainerPorts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(ports)
		all[h.Name] = ports
	}
	return all
}

// unchanged compares interfaces and flows of all hosts with what they were.
func unchanged(t *testing.T, st lab.Status, when string, interfaces map[string][]string, flows map[string]map[string]dumped) {
	t.Helper()
	for host, now := range interfacesOf(t, st) {
		if !slices.Equal(now, interfaces[host]) {
			t.Errorf("%s, host %s has interfaces %v, and had %v", when, host, now, interfaces[host])
		}
	}
	for _, h := range st.Hosts {
		compareDumps(t, h.Name, flows[h.Name], dump(t, h))
	}
}

// The controller is killed, its etcd's directory moved away, and the lab started again: agents and
// controller find an empty etcd, and touch nothing. With the right one back all goes on by itself.
func TestEmptyEtcdDestroysNothing(t *testing.T) {
	st := needLab(t)
	a, b := pair(t, "emptied")
	wantNoDiff(t)
	dir, _, _ := labEtcd(t)
	interfaces, flows := interfacesOf(t, st), map[string]map[string]dumped{}
	for _, h := range st.Hosts {
		flows[h.Name] = dump(t, h)
	}
	time.Sleep(2 * time.Second) // what was seen last is kept a second later
	steady := steadyPing(t, a, ipOf(b))

	sluice(t, "lab", "kill", "controller")
	rename(t, dir, dir+".right")
	defer putBack(dir)
	refusedAtLast(t, []string{"it is empty or wiped", "lab up --adopt"}, "lab", "up")
	eventually(t, "the controller says that it holds", func() error {
		out, _, _ := command(t, "status")
		if !strings.Contains(out, "Held: etcd does not hold the store") {
			return fmt.Errorf("status is %s", out)
		}
		return nil
	})
	restartAmidEmpty(t, "h3")
	time.Sleep(3 * time.Second) // under traffic, with agents that see the empty etcd
	unchanged(t, st, "with an empty etcd", interfaces, flows)

	sluice(t, "lab", "kill", "controller")
	putBack(dir)
	sluice(t, "lab", "up")
	wantNoDiff(t)
	unchanged(t, st, "with the right etcd back", interfaces, flows)
	steady.wantAll()
	late := container(t, "h3", "emptied", "emptied-3")
	wantPing(t, late, ipOf(a))
}

// restartAmidEmpty starts the agent of a host anew beside an empty etcd, which lets no host in: it runs, and says so to
// whoever attaches.
func restartAmidEmpty(t *testing.T, host string) {
	t.Helper()
	sluice(t, "lab", "kill", "agent/"+host)
	bounded, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := lab.ReviveAs(bounded, "agent/"+host, func(argv []string) []string { return argv }); err == nil {
		t.Errorf("the agent of %s is ready beside an empty etcd", host)
	}
	refused(t, []string{"holds no store"}, "lab", "run", host, "emptied", "emptied-amid")
}

// A backup is restored under a port that is newer than it: nothing stops, the port is offered, and
// with the operator's word it is back, and is reached.
func TestRestoredEtcdIsAdopted(t *testing.T) {
	for _, bump := range []uint64{0, 1_000_000} {
		st := needLab(t)
		name := "restored"
		if bump > 0 {
			name = "bumped"
		}
		a, b := pair(t, name)
		time.Sleep(2 * time.Second)
		backup := backuptest.Save(t, st.Etcd)
		newer := container(t, "h3", name, name+"-3")
		wantPing(t, newer, ipOf(a))
		time.Sleep(2 * time.Second) // what was seen last is kept a second later
		interfaces, flows := interfacesOf(t, st), map[string]map[string]dumped{}
		for _, h := range st.Hosts {
			flows[h.Name] = dump(t, h)
		}
		steady, steadyNewer := steadyPing(t, a, ipOf(b)), steadyPing(t, newer, ipOf(b))

		dir, member, peers := labEtcd(t)
		sluice(t, "lab", "kill", "controller")
		rename(t, dir, dir+".newer")
		backuptest.Restore(t, backup, dir, member, peers, bump)
		refusedAtLast(t, []string{"restored from an older state", "lab up --adopt"}, "lab", "up")
		unchanged(t, st, "before the word", interfaces, flows)
		if bump == 0 { // word by word, through the controller that holds; else all at once
			eventually(t, "the port is offered", func() error {
				if out, _, _ := command(t, "status"); !strings.Contains(out, newer.Name+": `sluice host adopt h3`") {
					return fmt.Errorf("status is %s", out)
				}
				return nil
			})
			for _, h := range st.Hosts { // those that saw nothing newer than the backup serve it already
				out := sluice(t, "host", "adopt", h.Name)
				if !strings.Contains(out, "host "+h.Name+" serves this store now") && (h.Name == "h3" || !strings.Contains(out, "asks for nothing")) {
					t.Errorf("adopt says %s", out)
				}
			}
		}
		sluice(t, "lab", "up", "--adopt")
		eventually(t, "all ports are back", func() error {
			out, stderr, status := command(t, "port", "show", name+"/default/"+name+"-3")
			if status != 0 {
				return fmt.Errorf("%s%s", out, stderr)
			}
			return nil
		})
		wantNoDiff(t)
		wantPing(t, newer, ipOf(a))
		unchanged(t, st, "after the word", interfaces, flows)
		steady.wantAll()
		steadyNewer.wantAll()
		if err := os.RemoveAll(dir + ".newer"); err != nil {
			t.Fatal(err)
		}
	}
}

// refusedAtLast runs a command that shows its progress and must fail, and say every one of the words.
func refusedAtLast(t *testing.T, words []string, args ...string) {
	t.Helper()
	_, stderr, status := command(t, args...)
	for _, w := range words {
		if status != 1 || !strings.Contains(stderr, w) {
			t.Errorf("sluice %s: exit status %d, and it does not mention %q: %s", strings.Join(args, " "), status, w, stderr)
		}
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// putBack puts the right etcd back, where it was moved away.
func putBack(dir string) {
	if _, err := os.Stat(dir + ".right"); err == nil {
		_ = os.RemoveAll(dir)
		_ = os.Rename(dir+".right", dir)
	}
}

// A port that etcd lost is offered, and comes back with the operator's word; a second word finds
// nothing to do.
func TestLostPortIsTakenBack(t *testing.T) {
	st := needLab(t)
	a, b := pair(t, "lost")
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{st.Etcd}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Delete(t.Context(), store.PortKey(a.Host, "lost", store.DefaultNetwork, a.Name).String()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the port is offered", func() error {
		if out, _, _ := command(t, "host", "show", a.Host); !strings.Contains(out, "lost/default/"+a.Name) {
			return fmt.Errorf("host show says %s", out)
		}
		return nil
	})
	if out := sluice(t, "status"); !strings.Contains(out, "sluice host adopt "+a.Host) {
		t.Errorf("status does not say what to do: %s", out)
	}
	if out := sluice(t, "host", "adopt", a.Host); !strings.Contains(out, "port lost/default/"+a.Name+": taken back") {
		t.Errorf("adopt says %s", out)
	}
	wantNoDiff(t)
	wantPing(t, a, ipOf(b))
	if out := sluice(t, "host", "adopt", a.Host); !strings.Contains(out, "asks for nothing") {
		t.Errorf("adopt again says %s", out)
	}
	refused(t, []string{"no-such", "not found"}, "host", "adopt", "no-such")
}
