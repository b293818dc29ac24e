package load

import (
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The system calls. None of those in the loop can block, so the raw ones do:
// the scheduler need not know.

// dial starts a connection. Connections have 64 addresses of the loopback in
// turn, so that ports in TIME_WAIT are far from running out when each request
// has its own connection.
func dial(to netip.AddrPort, i int32) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w; raise the limit of open files (ulimit -n)", err)
	}
	if to.Addr().IsLoopback() {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err == nil {
			err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(2 + i%64)}})
			if err != nil {
				unix.Close(fd)
				return -1, fmt.Errorf("bind: %w", err)
			}
		}
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("setsockopt TCP_NODELAY: %w", err)
	}
	err = unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
	if err != nil && err != unix.EINPROGRESS {
		unix.Close(fd)
		return -1, fmt.Errorf("connect to %v: %w", to, err)
	}
	return fd, nil
}

// wait returns what happened, without waiting for it.
func wait(epoll int, events []unix.EpollEvent) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	if errno != 0 && errno != unix.EINTR {
		return 0, fmt.Errorf("epoll_wait: %w", errno)
	}
	if errno != 0 {
		return 0, nil
	}
	return int(n), nil
}

// send sends what fits, which is nothing before the connection is made.
func send(fd int, b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case unix.EAGAIN, unix.EINTR, unix.ENOTCONN:
		return 0, nil
	}
	return 0, fmt.Errorf("send: %w", errno)
}

// receive returns 0 bytes at the end of the connection, or that it would have
// to wait.
func receive(fd int, into []byte, flags int) (n int, again bool, err error) {
	r, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&into[0])), uintptr(len(into)), uintptr(flags), 0, 0)
	switch errno {
	case 0:
		return int(r), false, nil
	case unix.EAGAIN, unix.EINTR, unix.ENOTCONN:
		return 0, true, nil
	}
	return 0, false, fmt.Errorf("recv: %w", errno)
}
