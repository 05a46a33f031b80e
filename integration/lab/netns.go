package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strconv"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Namespaces lists what carries the lab's names, whoever left it there.
func Namespaces() ([]string, error) {
	entries, err := os.ReadDir("/run/netns")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list network namespaces: %w", err)
	}
	var names []string
	for _, e := range entries {
		if ours.MatchString(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// filesOf is the folder whose files ip netns exec shows below /etc in a namespace.
func filesOf(ns string) string { return "/etc/netns/" + ns }

func nsExists(ns string) bool {
	_, err := nsID(nsPath(ns))
	return err == nil
}

// addNS makes a namespace with its loopback up.
func addNS(ctx context.Context, ns string) error {
	if _, err := run(ctx, "ip", "netns", "add", ns); err != nil {
		return err
	}
	return ipBatch(ctx, ns, "link set lo up")
}

// nameNS gives the namespace of a process a name, by which ip netns knows it.
func nameNS(ctx context.Context, ns, pid string) error {
	_, err := run(ctx, "ip", "netns", "attach", ns, pid)
	return err
}

// removeNS ends every process in a namespace and deletes it.
func removeNS(ctx context.Context, ns string) error {
	if err := killInside(ns); err != nil {
		return err
	}
	if _, err := run(ctx, "ip", "netns", "delete", ns); err != nil && nsExists(ns) {
		return err
	}
	if err := os.RemoveAll(filesOf(ns)); err != nil {
		return fmt.Errorf("delete the files of namespace %s: %w", ns, err)
	}
	// A name whose namespace never was, or is no longer, mounted on it.
	if err := os.Remove(nsPath(ns)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete namespace %s: %w", ns, err)
	}
	return nil
}

type inode struct{ dev, ino uint64 }

// nsID identifies the namespace behind a path; a plain file that an interrupted
// `ip netns add` left is none.
func nsID(path string) (inode, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil {
		return inode{}, err
	}
	if fs.Type != unix.NSFS_MAGIC {
		return inode{}, fmt.Errorf("%s is no namespace", path)
	}
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	return inode{st.Dev, st.Ino}, err
}

func sameNS(pid int, ns string) bool {
	want, err := nsID(nsPath(ns))
	if err != nil {
		return false
	}
	got, err := nsID(fmt.Sprintf("/proc/%d/ns/net", pid))
	return err == nil && got == want
}

// killInside ends every process in a namespace, and those that they start meanwhile.
func killInside(ns string) error {
	if !nsExists(ns) {
		return nil
	}
	for range 20 {
		pids, err := pidsInside(ns)
		if err != nil || len(pids) == 0 {
			return err
		}
		for _, pid := range pids {
			start, err := startTime(pid)
			if err != nil {
				continue // ended meanwhile
			}
			if err := unix.Kill(pid, unix.SIGKILL); err == nil {
				err = waitGone(pid, start)
				if err != nil {
					return fmt.Errorf("namespace %s: %w", ns, err)
				}
			}
		}
	}
	return fmt.Errorf("namespace %s: processes in it start faster than they can be ended", ns)
}

func pidsInside(ns string) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() || !sameNS(pid, ns) {
			continue
		}
		if _, err := startTime(pid); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// InNamespace calls f on a thread that is in namespace ns, so that sockets that f itself
// opens (not goroutines that it starts) belong there.
func InNamespace(ns string, f func() error) error { return InNamespaceAt(nsPath(ns), f) }

// InNamespaceAt is InNamespace by a path, such as /proc/PID/ns/net.
func InNamespaceAt(path string, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// The first thread stands for the whole process in /proc, and cannot be ended:
			// it is held here while the work goes to another.
			done <- InNamespaceAt(path, f)
			runtime.UnlockOSThread()
			return
		}
		done <- enter(path, f) // locked to the end: the thread goes with this goroutine
	}()
	return <-done
}

func enter(path string, f func() error) error {
	h, err := netns.GetFromPath(path)
	if err != nil {
		return fmt.Errorf("namespace %s: %w", path, err)
	}
	defer h.Close()
	if err := netns.Set(h); err != nil {
		return fmt.Errorf("enter namespace %s: %w", path, err)
	}
	return f()
}

// setSysctls writes values below /proc/sys in a namespace; one that this kernel lacks is
// passed over, because then there is nothing to switch off.
func setSysctls(ns string, values map[string]string) error {
	return InNamespace(ns, func() error {
		for key, value := range values {
			// /proc/sys/net shows the namespace of the thread that opens it.
			err := os.WriteFile("/proc/sys/"+key, []byte(value), 0o644)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("namespace %s: set %s: %w", ns, key, err)
			}
		}
		return nil
	})
}

// ipBatch runs ip(8) commands in a namespace; they stop at the first that fails.
func ipBatch(ctx context.Context, ns string, lines ...string) error {
	input := ""
	for _, l := range lines {
		input += l + "\n"
	}
	_, err := runInput(ctx, input, "ip", "-n", ns, "-batch", "-")
	return err
}
