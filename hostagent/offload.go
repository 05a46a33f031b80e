package hostagent

import (
	"fmt"
	"runtime"
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
	fd, err := socketIn(ns)
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

// socketIn opens a datagram socket that belongs to a namespace. Its thread visits the
// namespace; if it cannot come back it ends with its goroutine instead of serving others.
func socketIn(ns netns.NsHandle) (fd int, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		var own netns.NsHandle
		if own, err = netns.Get(); err != nil {
			runtime.UnlockOSThread()
			return
		}
		defer own.Close()
		if err = netns.Set(ns); err == nil {
			fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		}
		if back := netns.Set(own); back == nil {
			runtime.UnlockOSThread()
		}
	}()
	<-done
	if err != nil {
		return 0, fmt.Errorf("open a socket in the container's namespace: %w", err)
	}
	return fd, nil
}
