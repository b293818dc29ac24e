package eventloop

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Every system call of the loops. Those marked raw are not announced to Go's
// scheduler, which saves about a tenth of a microsecond each and is right for
// calls that never wait: all sockets are non-blocking, and all files are probed
// before they are read. errno 0 is success.

// deferAccept is how long the kernel keeps a connection to itself on which
// nothing has arrived, tcp(7) TCP_DEFER_ACCEPT, in seconds.
const deferAccept = 5

// prepare sets the options of a listening socket, before it is bound; connections
// inherit them. Shared: there are others at the same address, socket(7)
// SO_REUSEPORT.
func prepare(listener int, shared bool) error {
	share := 0
	if shared {
		share = 1
	}
	return errors.Join(
		unix.SetsockoptInt(listener, unix.SOL_SOCKET, unix.SO_REUSEPORT, share),
		unix.SetsockoptInt(listener, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		unix.SetsockoptInt(listener, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, deferAccept),
	)
}

// duplicate returns a descriptor of f's socket that Go's poller knows nothing of.
func duplicate(f *os.File) (int, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	return fd, unix.SetNonblock(fd, true)
}

// newEpoll makes an epoll set.
func newEpoll() (int, error) { return unix.EpollCreate1(unix.EPOLL_CLOEXEC) }

// newBell makes what wakes a loop, an eventfd(2).
func newBell() (int, error) { return unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK) }

// newReserve returns a descriptor to give up, -1 if there is none.
func newReserve() int {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return -1
	}
	return fd
}

// poll returns the events there are, without waiting. Raw.
func poll(epoll int, events []unix.EpollEvent) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	return int(n), errno
}

// wait waits for events. The scheduler is told, so that the thread does not hold
// up anybody meanwhile.
func wait(epoll int, events []unix.EpollEvent, d time.Duration) (int, syscall.Errno) {
	ms := (d + time.Millisecond - 1) / time.Millisecond
	n, _, errno := syscall.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(ms), 0, 0)
	return int(n), errno
}

// watch adds (EPOLL_CTL_ADD), changes (MOD) or removes (DEL) a descriptor; key
// comes back with its events. Raw.
func watch(epoll, op, fd int, events uint32, key key) syscall.Errno {
	ev := unix.EpollEvent{Events: events, Fd: key.slot, Pad: int32(key.generation)}
	_, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(epoll), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(&ev)), 0, 0)
	return errno
}

// accept takes a connection from the queue of a listening socket. Raw.
func accept(listener int) (fd int, from netip.Addr, errno syscall.Errno) {
	var sa unix.RawSockaddrAny
	size := uint32(unsafe.Sizeof(sa))
	r, _, errno := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listener), uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&size)),
		unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return -1, from, errno
	}
	switch sa.Addr.Family {
	case unix.AF_INET:
		from = netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(&sa)).Addr)
	case unix.AF_INET6:
		from = netip.AddrFrom16((*unix.RawSockaddrInet6)(unsafe.Pointer(&sa)).Addr).Unmap()
	}
	return int(r), from, 0
}

// connect begins to connect to an address. Raw but for the making of the socket.
func connect(to netip.AddrPort) (fd int, errno syscall.Errno) {
	family := unix.AF_INET6
	if to.Addr().Is4() {
		family = unix.AF_INET
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err.(syscall.Errno)
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // It is faster with, and right without.
	var at unsafe.Pointer
	size := uintptr(unix.SizeofSockaddrInet4)
	port := to.Port()<<8 | to.Port()>>8 // Network byte order; both of our architectures are little-endian.
	if family == unix.AF_INET {
		at = unsafe.Pointer(&unix.RawSockaddrInet4{Family: uint16(family), Port: port, Addr: to.Addr().As4()})
	} else {
		size = unix.SizeofSockaddrInet6
		at = unsafe.Pointer(&unix.RawSockaddrInet6{Family: uint16(family), Port: port, Addr: to.Addr().As16(), Scope_id: scope(to.Addr())})
	}
	_, _, errno = syscall.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(at), size)
	if errno == unix.EINPROGRESS {
		errno = 0
	}
	if errno != 0 {
		closeDescriptor(fd)
	}
	return fd, errno
}

// scope is the number of the interface that a link-local address is meant for.
func scope(a netip.Addr) uint32 {
	if n, err := strconv.ParseUint(a.Zone(), 10, 32); err == nil {
		return uint32(n)
	}
	if i, err := net.InterfaceByName(a.Zone()); a.Zone() != "" && err == nil {
		return uint32(i.Index)
	}
	return 0
}

// failure is what has become of a connect.
func failure(fd int) syscall.Errno {
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err.(syscall.Errno)
	}
	return syscall.Errno(n)
}

// recv reads what has arrived. n is 0 at the end of the stream. Raw.
func recv(fd int, b []byte) (n int, errno syscall.Errno) {
	r, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0, 0, 0)
	return count(r, errno), errno
}

// peek looks at what has arrived, and leaves it there. Raw.
func peek(fd int, b []byte) (n int, errno syscall.Errno) {
	r, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_PEEK, 0, 0)
	return count(r, errno), errno
}

// send writes as much of b as there is room for. Raw.
func send(fd int, b []byte, flags int) (n int, errno syscall.Errno) {
	r, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), uintptr(flags|unix.MSG_NOSIGNAL), 0, 0)
	return count(r, errno), errno
}

// sendv is send for several pieces of memory. Raw.
func sendv(fd int, pieces []unix.Iovec, flags int) (n int, errno syscall.Errno) {
	msg := unix.Msghdr{Iov: &pieces[0]}
	msg.SetIovlen(len(pieces))
	r, _, errno := syscall.RawSyscall6(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), uintptr(flags|unix.MSG_NOSIGNAL), 0, 0, 0)
	return count(r, errno), errno
}

// sendFile sends n bytes of a file from offset at, which it moves on, as many as
// there is room for. Raw: the bytes have been found in memory.
func sendFile(fd, file int, at *int64, n int64) (sent int, errno syscall.Errno) {
	r, _, errno := syscall.RawSyscall6(unix.SYS_SENDFILE, uintptr(fd), uintptr(file), uintptr(unsafe.Pointer(at)), uintptr(n), 0, 0)
	return count(r, errno), errno
}

func count(r uintptr, errno syscall.Errno) int {
	if errno != 0 {
		return 0
	}
	return int(r)
}

// stat is fstat(2): of an open file, so answered from memory. Raw.
func stat(file int, st *syscall.Stat_t) syscall.Errno {
	_, _, errno := syscall.RawSyscall(unix.SYS_FSTAT, uintptr(file), uintptr(unsafe.Pointer(st)), 0)
	return errno
}

// cached counts the pages of [at, at+n) of a file that are in memory, or on their
// way there: cachestat(2), Linux 6.5. It needs to own the file, or root. Raw.
func cached(file int, at, n int64) (pages int64, errno syscall.Errno) {
	span := [2]uint64{uint64(at), uint64(n)}
	var found unix.Cachestat_t
	_, _, errno = syscall.RawSyscall6(unix.SYS_CACHESTAT, uintptr(file), uintptr(unsafe.Pointer(&span)), uintptr(unsafe.Pointer(&found)), 0, 0, 0)
	return int64(found.Cache), errno
}

// readNoWait reads from a file as much as is in memory: preadv2(2), RWF_NOWAIT.
// EAGAIN if that is nothing. Raw.
func readNoWait(file int, b []byte, at int64) (int, syscall.Errno) {
	v := unix.Iovec{Base: &b[0]}
	v.SetLen(len(b))
	r, _, errno := syscall.RawSyscall6(unix.SYS_PREADV2, uintptr(file), uintptr(unsafe.Pointer(&v)), 1, uintptr(at), 0, unix.RWF_NOWAIT)
	return count(r, errno), errno
}

// readThrough reads a file from at to end, so that the kernel has it in memory. It
// waits for the disk, and Go's scheduler is told. Exactly what is asked for is read:
// what the kernel read ahead of it would look as if it were there long before it is.
func readThrough(file int, buf []byte, at, end int64) error {
	_ = unix.Fadvise(file, 0, 0, unix.FADV_RANDOM) // A hint.
	for at < end {
		n, err := unix.Pread(file, buf[:min(int64(len(buf)), end-at)], at)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return err
		case n == 0:
			return io.ErrUnexpectedEOF
		}
		at += int64(max(n, 0))
	}
	return nil
}

// shut ends the sending side. Raw.
func shut(fd int) {
	syscall.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_WR, 0)
}

// closeDescriptor closes a descriptor; what a socket still has to send the kernel
// sends. Raw.
func closeDescriptor(fd int) {
	syscall.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
}

// reset has the close of a socket drop what is unsent and tell the client so.
func reset(fd int) {
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}) // Else it is an ordinary close.
}

// acknowledged returns how many bytes the client has acknowledged, tcp(7) TCP_INFO.
func acknowledged(fd int) uint64 {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0
	}
	return info.Bytes_acked
}

// roundTrip returns the shortest round trip to the client that the kernel has measured.
func roundTrip(fd int) time.Duration {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return time.Hour
	}
	return time.Duration(info.Min_rtt) * time.Microsecond
}

// control returns the name of the congestion control, tcp(7) TCP_CONGESTION, "" if
// it cannot be had.
func control(fd int) string {
	name, err := unix.GetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION)
	if err != nil {
		return ""
	}
	return name
}

// setControl sets the congestion control, tcp(7) TCP_CONGESTION, if the kernel has it.
func setControl(fd int, name string) bool {
	return unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, name) == nil
}

// ring wakes a loop that waits, by its eventfd(2).
func ring(fd int) {
	one := [8]byte{}
	binary.NativeEndian.PutUint64(one[:], 1)
	_, _ = unix.Write(fd, one[:]) // Fails only if it has been rung 2^64 times.
}

// silence takes the ringing back. Raw.
func silence(fd int) {
	var b [8]byte
	syscall.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b)), 8)
}

// pin ties the calling thread to one CPU.
func pin(cpu int) error {
	var set unix.CPUSet
	set.Set(cpu)
	return unix.SchedSetaffinity(0, &set)
}

// CPUs returns the CPUs that the process may use, sched_getaffinity(2).
func CPUs() []int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return []int{0}
	}
	var cpus []int
	for cpu := range len(set) * 64 {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus
}
