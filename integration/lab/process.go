package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Process is one of the lab's background processes.
type Process struct {
	Name  string // controller-c1, etcd-e1, agent-h1, ovsdb-h1, vswitchd-h1, internet, forward
	NetNS string // "" is the machine's own
	PID   int
	Alive bool
	Log   string
}

// procRecord tells a process from a later one with the same number by its start time.
type procRecord struct {
	PID   int    `json:"pid"`
	Start string `json:"start"` // field 22 of proc_pid_stat(5), clock ticks since boot
}

func procPath(name string) string { return filepath.Join(Dir, "processes", name+".json") }

// processNames lists every process that a whole lab has.
func (s *state) processNames() []string {
	names := []string{"internet", "forward"}
	for _, m := range s.etcdMembers() {
		names = append(names, etcdProcess(m))
	}
	for _, m := range s.controllers() {
		names = append(names, controllerProcess(m))
	}
	for _, h := range s.hostNames() {
		names = append(names, "ovsdb-"+h, "vswitchd-"+h, "agent-"+h)
	}
	return names
}

// processNS is the namespace in which a process belongs.
func processNS(name string) string {
	switch kind, where, _ := strings.Cut(name, "-"); kind {
	case "internet":
		return InternetNS
	case "controller", "etcd":
		return machineNS(where)
	case "forward":
		return ""
	default:
		return hostNS(where)
	}
}

func describe(name string) Process {
	rec, alive := lookup(name)
	return Process{Name: name, NetNS: processNS(name), PID: rec.PID, Alive: alive, Log: logPath(name)}
}

// lookup finds the process recorded under name; alive is false where it is gone, or where it
// lives in a namespace that has since been replaced.
func lookup(name string) (rec procRecord, alive bool) {
	if readJSON(procPath(name), &rec) != nil {
		return procRecord{}, false
	}
	if start, err := startTime(rec.PID); err != nil || start != rec.Start {
		return rec, false
	}
	if ns := processNS(name); ns != "" {
		return rec, sameNS(rec.PID, ns)
	}
	return rec, true
}

// record remembers a running process under name.
func record(name string, pid int) error {
	start, err := startTime(pid)
	if err != nil {
		return fmt.Errorf("%s (process %d): %w", name, pid, err)
	}
	return writeJSON(procPath(name), procRecord{PID: pid, Start: start})
}

// startTime is when a process began; a zombie counts as gone.
func startTime(pid int) (string, error) {
	fields, err := statFields(pid)
	if err != nil {
		return "", err
	}
	const state, start = 0, 22 - 3
	if len(fields) <= start || fields[state] == "Z" || fields[state] == "X" {
		return "", fs.ErrNotExist
	}
	return fields[start], nil
}

// statFields are the fields of proc_pid_stat(5) from field 3, the state. The name in field 2
// may hold anything: what follows its closing bracket is split.
func statFields(pid int) ([]string, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) == 0 {
		return nil, fs.ErrNotExist
	}
	return fields, nil
}

// entering is the command that starts a process in a namespace. Docker and containerd need the machine's
// control groups, which `ip netns exec` hides.
func entering(process, ns string) []string {
	if strings.HasPrefix(process, "docker") || strings.HasPrefix(process, "containerd") {
		return []string{"nsenter", "--net=" + nsPath(ns), "--"}
	}
	return []string{"ip", "netns", "exec", ns}
}

// unconfigured keeps the settings of this machine's own Sluice out of what the lab starts.
var unconfigured = []string{"SLUICE_AGENT_CONFIG=", "SLUICE_CONTROLLER_CONFIG="}

// spawn starts a background process in its namespace, detached from this one: it survives
// the caller, and its output goes to its log.
func spawn(name string, env []string, files []*os.File, argv ...string) (*started, error) {
	log, err := os.OpenFile(logPath(name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer log.Close()
	if ns := processNS(name); ns != "" {
		argv = append(entering(name, ns), argv...)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(append(os.Environ(), unconfigured...), env...)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = log, log, files
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return watch(name, logPath(name), cmd), record(name, cmd.Process.Pid)
}

// watch waits for a process that was started, so that others learn of its end.
func watch(name, log string, cmd *exec.Cmd) *started {
	p := &started{name: name, log: log, exited: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	return p
}

// started is a process that this one has just started and still watches.
type started struct {
	name   string
	log    string // path
	exited chan struct{}
	err    error // set before exited is closed
}

// waitReady polls ready until it returns nil, the process dies or the time is over.
func (p *started) waitReady(ctx context.Context, limit time.Duration, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready(ctx)
		if err == nil || errors.Is(err, errHeld) {
			return err
		}
		select {
		case <-p.exited:
			return fmt.Errorf("%s ended at once (%w): %s", p.name, p.err, lastLine(p.log))
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready after %s (%w); its log is %s", p.name, limit, err, p.log)
		case <-tick.C:
		}
	}
}

// lastLine is the end of a process's log, and where the rest is.
func lastLine(log string) string {
	b, err := os.ReadFile(log)
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	last := lines[len(lines)-1]
	if err != nil || last == "" {
		return "see " + log
	}
	return last + " (log: " + log + ")"
}

// kill ends a recorded process at once (SIGKILL) and waits until it is gone. It says
// whether there was one.
func kill(name string) (bool, error) {
	var rec procRecord
	if err := readJSON(procPath(name), &rec); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return false, err
	}
	if start, err := startTime(rec.PID); err != nil || start != rec.Start {
		return false, nil
	}
	if err := unix.Kill(rec.PID, unix.SIGKILL); err != nil {
		return false, fmt.Errorf("kill %s (process %d): %w", name, rec.PID, err)
	}
	return true, waitGone(rec.PID, rec.Start)
}

func waitGone(pid int, start string) error {
	for range 500 {
		if now, err := startTime(pid); err != nil || now != start {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("process %d does not end after SIGKILL", pid)
}

// run executes a command to its end. The error holds what it printed to standard error.
func run(ctx context.Context, argv ...string) (string, error) {
	return runInput(ctx, "", argv...)
}

func runInput(ctx context.Context, input string, argv ...string) (string, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if text := strings.TrimSpace(stderr.String()); text != "" {
			err = errors.New(strings.ReplaceAll(text, "\n", "; "))
		}
		return "", fmt.Errorf("%s: %w", strings.Join(argv, " "), err)
	}
	return stdout.String(), nil
}

// readPID reads a pid file as OVS writes it.
func readPID(path string) (int, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", path, err)
	}
	return pid, nil
}
