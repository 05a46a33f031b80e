package integration

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"sluice/integration/lab"
)

// command runs sluice as a user does and returns what it printed, and its exit status.
func command(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	cmd := exec.Command(program, args...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("sluice %s: %v", strings.Join(args, " "), err)
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

// sluice runs a command that must succeed.
func sluice(t *testing.T, args ...string) string {
	t.Helper()
	stdout, stderr, status := command(t, args...)
	if status != 0 {
		t.Fatalf("sluice %s: exit status %d\n%s%s", strings.Join(args, " "), status, stdout, stderr)
	}
	return stdout
}

// refused runs a command that must fail with status 1 and one line that says every one of
// the words.
func refused(t *testing.T, words []string, args ...string) {
	t.Helper()
	fails(t, 1, words, args...)
}

// fails runs a command that must end with a status (2: wrong usage) and one line that says every
// one of the words.
func fails(t *testing.T, want int, words []string, args ...string) {
	t.Helper()
	stdout, stderr, status := command(t, args...)
	said := strings.TrimSpace(stderr)
	if status != want || strings.Contains(said, "\n") {
		t.Errorf("sluice %s: want status %d and one line, got %d\n%s%s", strings.Join(args, " "), want, status, stdout, stderr)
	}
	for _, w := range words {
		if !strings.Contains(said, w) {
			t.Errorf("sluice %s: the error does not mention %q: %s", strings.Join(args, " "), w, said)
		}
	}
}

// answer decodes what a command prints with -o json.
func answer[T any](t *testing.T, args ...string) T {
	t.Helper()
	var v T
	out := sluice(t, append(args, "-o", "json")...)
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatalf("sluice %s: %v in\n%s", strings.Join(args, " "), err, out)
	}
	return v
}

// tenant makes a tenant that goes with the test, after its containers.
func tenant(t *testing.T, name string, args ...string) {
	t.Helper()
	sluice(t, append([]string{"tenant", "create", name}, args...)...)
	t.Cleanup(func() { command(t, "tenant", "delete", name) })
}

// container makes a container that goes with the test. at is HOST or HOST and an address.
func container(t *testing.T, host, network, name string, ip ...string) lab.Container {
	t.Helper()
	args := []string{"lab", "run", host, network, name}
	if len(ip) > 0 {
		args = append(args, "--ip", ip[0])
	}
	sluice(t, args...)
	t.Cleanup(func() { command(t, "lab", "rm", name) })
	endsProved(t)
	return inspect(t, name)
}

// inspect reads a container back from the lab's status.
func inspect(t *testing.T, name string) lab.Container {
	t.Helper()
	for _, c := range answer[lab.Status](t, "lab", "status").Containers {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("lab status does not show container %s", name)
	return lab.Container{}
}

func ipOf(c lab.Container) netip.Addr { return c.IPs[0] }

// patience is how long a test waits for what comes by itself: far longer than it takes, for a machine that is busy.
const patience = time.Minute

// eventually polls until check is content, for what is done in the background; the last
// complaint fails the test.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if err = check(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}

// inHost runs a tool in a host's namespace, such as ip or nft.
func inHost(t *testing.T, host string, argv ...string) string {
	t.Helper()
	out, err := exec.Command("ip", append([]string{"netns", "exec", "sluice-" + host}, argv...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s on %s: %v\n%s", strings.Join(argv, " "), host, err, out)
	}
	return string(out)
}

// within is eventually with a time of its own.
func within(t *testing.T, d time.Duration, what string, check func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		if err = check(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}
