package resolver

import (
	"net"
	"unsafe"

	"golang.org/x/sys/unix"
)

// memInfo is what Linux tells of a socket's memory (SO_MEMINFO, sock_diag(7)).
type memInfo struct {
	_     [8]uint32
	Drops uint32 // packets that found no room
}

// kernelDrops are the packets that the kernel dropped before a socket; 0 where it does not tell. x/sys has the option's
// number and no call that reads it.
func kernelDrops(c *net.UDPConn) uint64 {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0
	}
	var info memInfo
	size := uint32(unsafe.Sizeof(info))
	_ = raw.Control(func(fd uintptr) { // a socket that is closed tells nothing
		_, _, _ = unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_MEMINFO,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	})
	return uint64(info.Drops)
}
