package integration

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"sluice/integration/lab"
)

// program is the sluice under test; unable says why there is no lab to test in; failOverAtFirst is what a lab says of fail-over that
// has just been made. All are set once, before the tests.
var (
	program         string
	unable          error
	failOverAtFirst string
)

// reservedFor is how long a benchmark, or its tests, may keep the lab from these tests.
const reservedFor = 8 * time.Minute

// machineErr is a machine that cannot hold a lab: a reason to skip.
type machineErr struct{ error }

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(withLab(m))
}

// withLab runs the tests in a lab of their own.
func withLab(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sluice-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	waiting, cancel := context.WithTimeout(context.Background(), reservedFor)
	defer cancel()
	free, err := lab.Reserve(waiting)
	if err != nil {
		fmt.Fprintln(os.Stderr, "no lab to test in:", err)
		return 1
	}
	defer free()
	unable = raiseLab(dir)
	if errors.As(unable, &machineErr{}) {
		return m.Run()
	}
	status := 1
	if unable != nil {
		fmt.Fprintln(os.Stderr, "no lab to test in:", unable)
	} else {
		status = m.Run()
	}
	if err := lowerLab(); err != nil {
		fmt.Fprintln(os.Stderr, "sluice lab down:", err)
		status = 1
	}
	return status
}

func raiseLab(dir string) error {
	if os.Geteuid() != 0 {
		return machineErr{errors.New("needs root, for network namespaces")}
	}
	if _, err := exec.LookPath("ovs-vswitchd"); err != nil {
		return machineErr{errors.New("needs Open vSwitch: apt-get install openvswitch-switch")}
	}
	if _, err := lab.Load(context.Background()); err == nil {
		return machineErr{errors.New("a lab is running, and might be in use: sluice lab down")}
	}
	if program = os.Getenv("SLUICE_BINARY"); program == "" {
		program = filepath.Join(dir, "sluice")
		if out, err := exec.Command("go", "build", "-o", dir, "sluice/cmd/sluice", "sluice/cmd/sluice-cni").CombinedOutput(); err != nil {
			return fmt.Errorf("build sluice: %w\n%s", err, out)
		}
	}
	out, err := exec.Command(program, "lab", "up", "--hosts", "3").CombinedOutput()
	if err != nil {
		return fmt.Errorf("sluice lab up: %w\n%s", err, out)
	}
	out, err = exec.Command(program, "gateway", "fail-over").CombinedOutput()
	if failOverAtFirst = string(out); err != nil {
		return fmt.Errorf("sluice gateway fail-over: %w\n%s", err, out)
	}
	return nil
}

// lowerLab removes the lab, and complains where anything of it is left.
func lowerLab() error {
	if out, err := exec.Command(program, "lab", "down").CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	left, err := lab.Namespaces()
	if err != nil {
		return err
	}
	if _, err := os.Stat(lab.Dir); !errors.Is(err, os.ErrNotExist) {
		left = append(left, lab.Dir)
	}
	if len(left) > 0 {
		return fmt.Errorf("it left %v", left)
	}
	return nil
}

// needLab skips a test on a machine that cannot hold a lab. Gateways do not fail over in it unless a test asks for that: on a busy machine a switch
// may be late enough to be found dead, and tests of other things count packets, flows and the hosts by which tenants leave.
func needLab(t *testing.T) lab.Status {
	t.Helper()
	if unable != nil && os.Getenv("SLUICE_REQUIRE_OVS") == "1" {
		t.Fatal(unable)
	}
	if unable != nil {
		t.Skip(unable)
	}
	st, err := lab.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sluice(t, "gateway", "fail-over", "off")
	return st
}
