package hostagent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"

	"sluice/store/etcd"
)

const (
	envNamespace = "SLUICE_TEST_NAMESPACE" // set in the child that has a namespace of its own
	envCheck     = "SLUICE_TEST_CHECK"     // set in a child that looks what it lacks: its options
	envAgent     = "SLUICE_TEST_AGENT"     // set in a child that is an agent: its options
)

// TestMain runs the tests of root in a network namespace of their own, which ends with
// them: nothing they make can stay behind or meet what the machine has.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv(envAgent) != "":
		os.Exit(agentMain(os.Getenv(envAgent)))
	case os.Getenv(envCheck) != "":
		os.Exit(checkMain(os.Getenv(envCheck)))
	case os.Getuid() != 0:
		os.Exit(m.Run())
	case os.Getenv(envNamespace) != "":
		if err := raiseLoopback(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(m.Run())
	default:
		os.Exit(runInNamespace(m))
	}
}

// runInNamespace runs this program again in a namespace. Where it may not make one, the
// tests run here, and those that need one skip.
func runInNamespace(m *testing.M) int {
	runtime.LockOSThread() // Pdeathsig follows the thread
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), envNamespace+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	if errors.Is(err, syscall.EPERM) {
		return m.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tests in their namespace:", err)
		return 1
	}
	return 0
}

func raiseLoopback() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(lo)
}

// agentOptions are an agent's options as a child process gets them.
type agentOptions struct {
	Options
	Endpoints []string
	KillAt    string // the step at which the agent is killed; empty: it is not
}

// agentMain is an agent in a process of its own, for tests that kill it.
func agentMain(text string) int {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var o agentOptions
	err := json.Unmarshal([]byte(text), &o)
	if err == nil {
		o.Log = log
		o.Step = killedAt(o.KillAt)
		o.Store, err = etcd.Connect(ctx, etcd.Options{Endpoints: o.Endpoints, Log: log})
	}
	if err == nil {
		var a *Agent
		if a, err = New(o.Options); err == nil {
			err = a.Run(ctx)
		}
	}
	if err != nil {
		log.Error("agent", "err", err)
		return 1
	}
	return 0
}

// killedAt kills this process when a step is reached.
func killedAt(end string) func(string) {
	return func(reached string) {
		if reached == end {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // until the signal comes
		}
	}
}
