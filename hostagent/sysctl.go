package hostagent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// sysctlPath is where a setting of the kernel is, in the agent's network namespace.
func sysctlPath(name string) string { return "/proc/sys/" + name }

// sysctlIs reports whether a setting has a value. Settings of IPv6 may be absent: the kernel
// has no IPv6 then, and each counts as right.
func sysctlIs(name, value string) (bool, error) {
	b, err := os.ReadFile(sysctlPath(name))
	if errors.Is(err, fs.ErrNotExist) && strings.HasPrefix(name, "net/ipv6/") {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("read setting %s: %w", dotted(name), err)
	}
	return strings.TrimSpace(string(b)) == value, nil
}

// setSysctl writes a setting where it differs.
func setSysctl(name, value string) error {
	if is, err := sysctlIs(name, value); is || err != nil {
		return err
	}
	if err := os.WriteFile(sysctlPath(name), []byte(value), 0o644); err != nil {
		return fmt.Errorf("set %s to %s: %w", dotted(name), value, err)
	}
	return nil
}

// sysctlNumber reads a setting, or a fact of the kernel's, that is a number.
func sysctlNumber(name string) (n int, err error) {
	b, err := os.ReadFile(sysctlPath(name))
	if err == nil {
		_, err = fmt.Sscan(string(b), &n)
	}
	if err != nil {
		return 0, fmt.Errorf("read setting %s: %w", dotted(name), err)
	}
	return n, nil
}

// dotted is a setting's name as sysctl(8) writes it.
func dotted(name string) string { return strings.ReplaceAll(name, "/", ".") }
