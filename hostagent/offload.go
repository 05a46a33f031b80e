package hostagent

import (
	"fmt"
	"unsafe"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// ethtoolValue is struct ethtool_value of linux/ethtool.h.
type ethtoolValue struct{ command, data uint32 }

// ifreqData is struct ifreq of linux/if.h with a pointer in its union.
type ifreqData struct {
	name [unix.IFNAMSIZ]byte
	data unsafe.Pointer
	_    [24 - unsafe.Sizeof(uintptr(0))]byte
}

// transmitChecksumsOff does `ethtool -K name tx off` in a namespace.
func transmitChecksumsOff(ns netns.NsHandle, name string) error {
	fd, err := socketIn(ns, unix.AF_INET, unix.SOCK_DGRAM)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	value := ethtoolValue{command: unix.ETHTOOL_STXCSUM}
	req := ifreqData{data: unsafe.Pointer(&value)}
	copy(req.name[:unix.IFNAMSIZ-1], name)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req)))
	if errno != 0 {
		return errno
	}
	return nil
}

// hostChecksumsOff does the same for an interface of the host.
func hostChecksumsOff(name string) error {
	own, err := netns.Get()
	if err != nil {
		return fmt.Errorf("open the host's namespace: %w", err)
	}
	defer own.Close()
	return transmitChecksumsOff(own, name)
}

// socketIn opens a socket that belongs to a namespace.
func socketIn(ns netns.NsHandle, domain, kind int) (fd int, err error) {
	err = inNamespace(ns, func() error {
		fd, err = unix.Socket(domain, kind|unix.SOCK_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("open a socket in the container's namespace: %w", err)
	}
	return fd, nil
}
