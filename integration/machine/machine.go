// Package machine says in one line on what a measurement was taken. It reads the machine and
// changes nothing; benchmarks and chaos runs keep the line beside their results.
package machine

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Describe says in one line what this machine is, for those who read results later.
func Describe() string {
	parts := []string{fmt.Sprintf("%d x %s", runtime.NumCPU(), processor())}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		release, _, _ := strings.Cut(unix.ByteSliceToString(u.Release[:]), "-")
		parts = append(parts, "Linux "+release)
	}
	if out, err := exec.CommandContext(context.Background(), "ovs-vswitchd", "--version").Output(); err == nil {
		first, _, _ := strings.Cut(string(out), "\n")
		fields := strings.Fields(first)
		parts = append(parts, "Open vSwitch "+fields[len(fields)-1])
	}
	return strings.Join(append(parts, runtime.Version()), ", ")
}

func processor() string {
	b, _ := os.ReadFile("/proc/cpuinfo") // else it has no name
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
