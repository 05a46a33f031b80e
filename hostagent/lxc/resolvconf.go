package lxc

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"sluice/hostagent/api"
)

// resolvConf is the file that says whom a container asks for names, from its root.
const resolvConf = "etc/resolv.conf"

// WriteResolvConf writes into the container whom it asks for names, before its init runs. Of several interfaces of one start
// the first one's stands. Links are followed inside the container's root alone, and a file that is mounted there is somebody's.
func (c Call) WriteResolvConf(dns *api.DNS) error {
	start, err := c.start()
	if err == nil {
		err = writeResolvConf(fmt.Sprintf("/proc/%d/root", c.PID), start, dns)
	}
	if err != nil {
		return fmt.Errorf("container %s: /etc/resolv.conf: %w: it stays as it is", c.Container, err)
	}
	return nil
}

func writeResolvConf(root, start string, dns *api.DNS) error {
	if dns == nil {
		return nil // the host has no resolver
	}
	dir, err := os.Open(root)
	if err != nil {
		return err
	}
	defer dir.Close()
	if own, err := sameAsHosts(dir); err != nil || own {
		return errors.Join(err, errors.New("the container has the host's own files"))
	}
	file, err := openInside(dir)
	if err != nil {
		return err
	}
	defer file.Close()
	first := firstLine(start)
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return errors.Join(err, errors.New("it is no file"))
	}
	is, err := io.ReadAll(io.LimitReader(file, int64(len(first))))
	if err != nil || string(is) == first {
		return err
	}
	text := first + "search " + strings.Join(dns.Search, " ") + "\n"
	for _, server := range dns.Nameservers {
		text += "nameserver " + server + "\n"
	}
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err = file.WriteAt([]byte(text), 0)
	return err
}

// firstLine tells a file of this start from others.
func firstLine(start string) string { return "# Written by sluice lxc-hook at start " + start + ".\n" }

// sameAsHosts reports whether a container's root is this process's: LXC runs containers without a rootfs.
func sameAsHosts(root *os.File) (bool, error) {
	theirs, err := root.Stat()
	if err != nil {
		return false, err
	}
	own, err := os.Stat("/")
	return os.SameFile(own, theirs), err
}

// openInside opens the file below a root, and makes it where there is none. Its owner is then that of the
// root, which is the container's own where its users have other numbers.
func openInside(root *os.File) (*os.File, error) {
	how := unix.OpenHow{
		Flags:   unix.O_RDWR | unix.O_CLOEXEC | unix.O_NONBLOCK,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV,
	}
	file, err := openAt(root, how)
	if !errors.Is(err, unix.ENOENT) {
		return file, err
	}
	how.Flags, how.Mode = how.Flags|unix.O_CREAT|unix.O_EXCL, 0o644
	if file, err = openAt(root, how); err != nil {
		return nil, err
	}
	var of unix.Stat_t
	if err = unix.Fstat(int(root.Fd()), &of); err == nil {
		err = file.Chown(int(of.Uid), int(of.Gid))
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func openAt(root *os.File, how unix.OpenHow) (*os.File, error) {
	fd, err := unix.Openat2(int(root.Fd()), resolvConf, &how)
	switch {
	case errors.Is(err, unix.EXDEV):
		return nil, errors.New("it is mounted from elsewhere")
	case errors.Is(err, unix.EEXIST):
		return nil, errors.New("it is a link to a file that is not there")
	case err != nil:
		return nil, err
	}
	return os.NewFile(uintptr(fd), resolvConf), nil
}
