package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Kill ends the processes of a target as a crash would (SIGKILL); `lab up` starts them again.
func Kill(ctx context.Context, target string) error {
	return onTarget(ctx, target, func(name string, _ procRecord) (bool, error) { return kill(name) })
}

// Pause stops the processes of a target (SIGSTOP): they are there and do nothing.
func Pause(ctx context.Context, target string) error {
	return onTarget(ctx, target, func(_ string, rec procRecord) (bool, error) {
		return true, unix.Kill(rec.PID, unix.SIGSTOP)
	})
}

// Resume lets paused processes of a target go on (SIGCONT).
func Resume(ctx context.Context, target string) error {
	return onTarget(ctx, target, func(_ string, rec procRecord) (bool, error) {
		return true, unix.Kill(rec.PID, unix.SIGCONT)
	})
}

// onTarget does something with each process of a target that runs, and fails where none does.
func onTarget(ctx context.Context, target string, do func(name string, rec procRecord) (bool, error)) error {
	s, unlock, err := workIn(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	names, err := s.targets(target)
	if err != nil {
		return err
	}
	found := false
	for _, name := range names {
		rec, alive := lookup(name)
		if !alive {
			continue
		}
		did, err := do(name, rec)
		if err != nil {
			return fmt.Errorf("%s (process %d): %w", name, rec.PID, err)
		}
		found = found || did
	}
	if !found {
		return fmt.Errorf("nothing of %q runs: `sluice lab up` starts it again", target)
	}
	return nil
}

// workIn takes the lab to work in it, beside others who do, and reads what it is.
func workIn(ctx context.Context) (s *state, unlock func(), err error) {
	if unlock, err = lock(ctx, unix.LOCK_SH); err != nil {
		return nil, nil, err
	}
	if s, err = loadState(); err != nil {
		unlock()
		return nil, nil, err
	}
	return s, unlock, nil
}

// TargetWords are how a target is written, for help.
const TargetWords = "HOST|controller[/NAME]|etcd[/NAME]|agent[/HOST]|switch/HOST|docker/HOST"

// Targets are all targets of this lab, for completion.
func (st Status) Targets() []string {
	all := []string{"controller", "etcd", "agent"}
	for _, p := range st.Processes {
		if kind, name, _ := strings.Cut(p.Name, "-"); kind == "controller" || kind == "etcd" {
			all = append(all, kind+"/"+name)
		}
	}
	for _, h := range st.Hosts {
		all = append(all, h.Name, "agent/"+h.Name, "switch/"+h.Name)
	}
	slices.Sort(all)
	return all
}

// targets are the processes that a target means, in the order in which they need each other. A host is its agent and its Open vSwitch;
// without a name, all of a kind are meant. Where etcd has no members of its own, it is the
// first controller's process.
func (s *state) targets(target string) ([]string, error) {
	kind, name, one := strings.Cut(target, "/")
	var all []string
	switch kind {
	case "controller":
		for _, m := range s.controllers() {
			all = append(all, controllerProcess(m))
		}
	case "etcd":
		for _, m := range s.etcdMembers() {
			all = append(all, etcdProcess(m))
		}
		if len(all) == 0 && !one {
			return []string{controllerProcess(s.controllers()[0])}, nil
		}
	case "agent":
		for _, h := range s.hostNames() {
			all = append(all, "agent-"+h)
		}
	case "switch":
		if !one {
			return nil, errors.New("name the host whose switch is meant: switch/HOST")
		}
		return []string{"vswitchd-" + name}, s.hasHost(name)
	case "docker":
		if !one {
			return nil, errors.New("name the host whose Docker is meant: docker/HOST")
		}
		return []string{dockerOf(name).process()}, s.hasHost(name)
	default:
		if err := s.hasHost(target); err != nil {
			return nil, fmt.Errorf("name what to act on, %s: %w", TargetWords, err)
		}
		return []string{"ovsdb-" + target, "vswitchd-" + target, "agent-" + target}, nil
	}
	if !one {
		return all, nil
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("the lab has no etcd %q: its first controller runs etcd: name it etcd, or controller/c1", name)
	}
	if want := kind + "-" + name; slices.Contains(all, want) {
		return []string{want}, nil
	}
	return nil, fmt.Errorf("the lab has no %s %q: it has %s", kind, name, strings.Join(all, ", "))
}

// paused reports whether a process is stopped by a signal.
func paused(pid int) bool {
	fields, err := statFields(pid)
	return err == nil && (fields[0] == "T" || fields[0] == "t")
}

// Revive starts what is dead of a target, and waits until it answers. What else is dead stays
// dead, unlike with Up.
func Revive(ctx context.Context, target string) error { return ReviveAs(ctx, target, nil) }

// ReviveAs is Revive with other command lines: adapt is given that of each controller and agent, and
// returns what to start instead, such as another version of the program. It enrols no host. Nil
// changes nothing.
func ReviveAs(ctx context.Context, target string, adapt func(argv []string) []string) error {
	s, unlock, err := workIn(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	s.adapt = adapt
	names, err := s.targets(target)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := s.revive(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func (s *state) revive(ctx context.Context, process string) error {
	kind, name, _ := strings.Cut(process, "-")
	if name == trunkSwitch {
		return EnsureTrunk(ctx)
	}
	switch kind {
	case "controller":
		return s.ensureController(ctx, s.machineOf(name))
	case "etcd":
		return s.ensureMember(ctx, s.machineOf(name))
	case "agent":
		return s.ensureAgent(ctx, s.numberOf(name))
	case dockerd:
		return dockerOf(name).ensure(ctx)
	case "ovsdb":
		_, err := ensureDatabase(ctx, name)
		return err
	default:
		return ensureHost(ctx, s.numberOf(name))
	}
}
