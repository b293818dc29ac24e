package load

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Backend is the farm behind the proxies that are measured. It gives ready-made
// answers, and echoes what comes through a WebSocket:
//
//	/cgi-bin/bytes/N   N bytes of Content; a body that is sent must be Content, too
//	/cgi-bin/seen      the head of the request as it came
//	/cgi-bin/socket    a WebSocket
//
// While there is load, the generator's thread serves it, and never sleeps. A
// program of its own on the same core would take turns with the client, and add
// the scheduler's moods to every latency; and one that sleeps would be woken by
// the proxy, at the proxy's expense. While there is none, for a check of the
// proxies, a goroutine serves it.
type Backend struct {
	Address netip.AddrPort

	mu       sync.Mutex // held by who serves it; all below is theirs
	epoll    int
	listener int
	conns    map[int32]*inbound
	accepted int64             // connections so far
	answers  map[string][]byte // by target
	content  []byte
	buffer   []byte
	reply    []byte
	events   []unix.EpollEvent

	close chan struct{} // closed to end the goroutine
	ended chan struct{} // closed by it
}

// Content is what the backend's answers, and the bodies of requests, are made
// of: the same bytes each time, that no coding makes smaller.
func Content(size int) []byte {
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{5, 1, 24}).Read(b) // Never fails.
	return b
}

// contentMost is the size of the largest answer or body.
const contentMost = 4 << 20

// NewBackend starts a backend.
func NewBackend() (*Backend, error) {
	b := &Backend{
		epoll: -1, listener: -1,
		conns: map[int32]*inbound{}, answers: map[string][]byte{}, content: Content(contentMost),
		buffer: make([]byte, 64<<10), events: make([]unix.EpollEvent, 256),
		close: make(chan struct{}), ended: make(chan struct{}),
	}
	if err := b.listen(); err != nil {
		b.release()
		return nil, err
	}
	go b.idle()
	return b, nil
}

// Close ends the backend and its connections. No load may be under way.
func (b *Backend) Close() {
	close(b.close)
	<-b.ended
	b.release()
}

// Accepted returns how many connections there have been so far.
func (b *Backend) Accepted() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.accepted
}

func (b *Backend) release() {
	for fd := range b.conns {
		b.drop(fd)
	}
	for _, fd := range []int{b.listener, b.epoll} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

func (b *Backend) listen() (err error) {
	if b.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("epoll_create1: %w", err)
	}
	if b.listener, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	if err := unix.Bind(b.listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	if err := unix.Listen(b.listener, 4096); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	name, err := unix.Getsockname(b.listener)
	if err != nil {
		return fmt.Errorf("getsockname: %w", err)
	}
	at, ok := name.(*unix.SockaddrInet4)
	if !ok {
		return fmt.Errorf("getsockname: %T", name)
	}
	b.Address = netip.AddrPortFrom(netip.AddrFrom4(at.Addr), uint16(at.Port))
	return b.watch(b.listener, unix.EPOLLIN)
}

func (b *Backend) watch(fd int, events uint32) error {
	event := unix.EpollEvent{Events: events, Fd: int32(fd)}
	if err := unix.EpollCtl(b.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}

// idle serves the backend while there is no load.
func (b *Backend) idle() {
	defer close(b.ended)
	for {
		b.mu.Lock()
		n, err := b.poll()
		b.mu.Unlock()
		select {
		case <-b.close:
			return
		default:
		}
		if n == 0 || err != nil {
			time.Sleep(time.Millisecond)
		}
	}
}

// poll handles what has happened, and does not wait. The error is for what ends
// the backend; a connection that fails is dropped, as the proxy will notice.
func (b *Backend) poll() (int, error) {
	n, err := wait(b.epoll, b.events)
	if err != nil {
		return 0, err
	}
	for _, event := range b.events[:n] {
		if int(event.Fd) == b.listener {
			if err := b.accept(); err != nil {
				return n, err
			}
			continue
		}
		// The connection may have ended in the same batch.
		if c := b.conns[event.Fd]; c != nil && c.serve(b, event.Events) != nil {
			b.drop(event.Fd)
		}
	}
	return n, nil
}

// accept accepts all connections that wait.
func (b *Backend) accept() error {
	for {
		fd, _, err := unix.Accept4(b.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch err {
		case nil:
		case unix.EAGAIN:
			return nil
		case unix.EINTR, unix.ECONNABORTED:
			continue
		default:
			return fmt.Errorf("accept: %w; raise the limit of open files (ulimit -n)", err)
		}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
			unix.Close(fd)
			return fmt.Errorf("setsockopt TCP_NODELAY: %w", err)
		}
		b.accepted++
		b.conns[int32(fd)] = &inbound{fd: fd}
		if err := b.watch(fd, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLRDHUP|unix.EPOLLET); err != nil {
			return err
		}
	}
}

func (b *Backend) drop(fd int32) {
	unix.Close(int(fd))
	delete(b.conns, fd)
}
