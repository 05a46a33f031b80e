package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"sluice/integration/lab"
	"sluice/store"
)

// fault is something that breaks a part of the lab. What its begin does its end undoes; an
// end of nil leaves it to the product.
type fault struct {
	kind   string   // the row of the report
	what   string   // with the target
	parts  []string // what no other fault may touch meanwhile
	harms  harm
	begin  func(context.Context) error
	end    func(context.Context) error
	length time.Duration // between both; 0: the breaker chooses
}

// maker chooses a fault of one kind.
type maker func(w *world, choose *rand.Rand) fault

// makers are the kinds of faults. Each is as likely as any other.
var makers = []maker{
	killing().controller, killing().etcd, killing().agent, killing().vswitch, killing().host,
	pausing().controller, pausing().etcd, pausing().agent, pausing().vswitch, slowEtcd,
	cutHosts, cutFromController, cutFromEtcd, cutControlPlane,
	editFlows, unplugInterface,
}

func pick[T any](choose *rand.Rand, from []T) T { return from[choose.IntN(len(from))] }

// etcdTarget is a member of etcd. Where the first controller runs it, that is the target.
func etcdTarget(w *world, choose *rand.Rand) string {
	if len(w.lab.EtcdMembers) == 0 {
		return "controller/" + w.lab.Controllers[0].Name
	}
	return "etcd/" + pick(choose, w.lab.EtcdMembers).Name
}

// stop is a way to stop a part, and to have it go on.
type stop struct {
	verb       string
	begin, end func(ctx context.Context, target string) error
}

func killing() stop { return stop{"kill", lab.Kill, lab.Revive} }

func pausing() stop { return stop{"pause", lab.Pause, lab.Resume} }

func (s stop) fault(kind, target, part string, harms harm) fault {
	return fault{
		kind: s.verb + " " + kind, what: s.verb + " " + target, parts: []string{part}, harms: harms,
		begin: func(ctx context.Context) error { return s.begin(ctx, target) },
		end:   func(ctx context.Context) error { return s.end(ctx, target) },
	}
}

func (s stop) controller(w *world, choose *rand.Rand) fault {
	target := "controller/" + pick(choose, w.lab.Controllers).Name
	return s.fault("controller", target, target, harmless)
}

func (s stop) etcd(w *world, choose *rand.Rand) fault {
	target := etcdTarget(w, choose)
	return s.fault("etcd", target, target, harmless)
}

func (s stop) agent(w *world, choose *rand.Rand) fault {
	host := pick(choose, w.lab.Hosts).Name
	return s.fault("agent", "agent/"+host, host, harmless)
}

func (s stop) vswitch(w *world, choose *rand.Rand) fault {
	host := pick(choose, w.lab.Hosts).Name
	return s.fault("switch", "switch/"+host, host, harmsHost(host))
}

func (s stop) host(w *world, choose *rand.Rand) fault {
	host := pick(choose, w.lab.Hosts).Name
	return s.fault("agent and switch", host, host, harmsHost(host))
}

// slowEtcd makes a member stutter, as on a disk that stalls: it works 50 ms and stands still
// 150 ms, until the end.
func slowEtcd(w *world, choose *rand.Rand) fault {
	target := etcdTarget(w, choose)
	var stop context.CancelFunc
	stopped := make(chan struct{})
	return fault{
		kind: "slow etcd", what: "slow " + target, parts: []string{target}, harms: harmless,
		begin: func(ctx context.Context) error {
			if err := lab.Pause(ctx, target); err != nil {
				return err
			}
			stutter, cancel := context.WithCancel(context.WithoutCancel(ctx))
			stop = cancel
			go func() {
				defer close(stopped)
				for goesOn := true; goesOn; {
					goesOn = pause(stutter, 150*time.Millisecond) && lab.Resume(stutter, target) == nil &&
						pause(stutter, 50*time.Millisecond) && lab.Pause(stutter, target) == nil
				}
			}()
			return nil
		},
		end: func(ctx context.Context) error {
			stop()
			<-stopped
			return lab.Resume(ctx, target)
		},
	}
}

func cut(kind, a, b string, harms harm) fault {
	return fault{
		kind: "cut " + kind, what: fmt.Sprintf("cut %s from %s", a, b), parts: []string{a + "-" + b}, harms: harms,
		begin: func(ctx context.Context) error { return lab.Cut(ctx, a, b) },
		end:   func(ctx context.Context) error { return lab.Heal(ctx, a, b) },
	}
}

func cutHosts(w *world, choose *rand.Rand) fault {
	order := choose.Perm(len(w.lab.Hosts))
	a, b := w.lab.Hosts[order[0]].Name, w.lab.Hosts[order[len(order)-1]].Name
	return cut("host from host", min(a, b), max(a, b), harmsBetween(a, b))
}

func cutFromController(w *world, choose *rand.Rand) fault {
	return cut("host from controller", pick(choose, w.lab.Hosts).Name, pick(choose, w.lab.Controllers).Name, harmless)
}

func cutFromEtcd(w *world, choose *rand.Rand) fault {
	if len(w.lab.EtcdMembers) == 0 {
		return cutFromController(w, choose)
	}
	return cut("host from etcd", pick(choose, w.lab.Hosts).Name, pick(choose, w.lab.EtcdMembers).Name, harmless)
}

func cutControlPlane(w *world, choose *rand.Rand) fault {
	if len(w.lab.EtcdMembers) == 0 {
		return cutFromController(w, choose)
	}
	return cut("controller from etcd", pick(choose, w.lab.Controllers).Name, pick(choose, w.lab.EtcdMembers).Name, harmless)
}

// editFlows does what a hand at a switch may do: it removes flows, or adds one that drops all.
func editFlows(w *world, choose *rand.Rand) fault {
	h := pick(choose, w.lab.Hosts)
	edits := [][]string{
		{"del-flows", store.BridgeName, "table=0"},
		{"del-flows", store.BridgeName},
		{"add-flow", store.BridgeName, "table=0,priority=65000,actions=drop"},
		{"add-flow", store.BridgeName, "table=0,priority=65000,ip,actions=drop"},
	}
	edit := pick(choose, edits)
	return fault{
		kind: "edit flows", what: fmt.Sprintf("edit flows of %s: %s", h.Name, strings.Join(edit, " ")),
		parts: []string{h.Name}, harms: harmsHost(h.Name), length: time.Millisecond,
		begin: func(ctx context.Context) error {
			_, err := h.Switch().OFCtl(ctx, edit[0], edit[1], edit[2:]...)
			return err
		},
	}
}

// unplugInterface takes a container's interface from the switch.
func unplugInterface(w *world, choose *rand.Rand) fault {
	h := pick(choose, w.lab.Hosts)
	return fault{
		kind: "unplug an interface", what: "unplug an interface of " + h.Name,
		parts: []string{h.Name}, harms: harmsHost(h.Name), length: time.Millisecond,
		begin: func(ctx context.Context) error {
			ports, err := h.ContainerPorts(ctx)
			if err != nil || len(ports) == 0 {
				return err
			}
			_, err = h.Switch().VSCtl(ctx, "--if-exists", "del-port", store.BridgeName, ports[choose.IntN(len(ports))])
			return err
		},
	}
}
