package proxy

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// streamConn is a *net.TCPConn or a *net.UnixConn.
type streamConn interface {
	net.Conn
	syscall.Conn
	CloseWrite() error
}

// backendConn is a connection to a backend on which a write cannot wait forever
// for the backend to read. Reading is the transport's affair: it always reads,
// on an unused connection too, to see it closed.
type backendConn struct {
	streamConn
	idle    time.Duration // for one Write; 0 is no limit
	buffers *buffers
	answers bool                     // what is read on it are answers, one after the other, and not by who writes
	tunnel  atomic.Bool              // writes have no limit
	user    atomic.Pointer[exchange] // whom it was given to last; nil: nobody, or several at a time

	mu      sync.Mutex
	reading bool      // guarded by mu: the transport waits in Read
	ended   bool      // guarded by mu: a Read has failed, or there is nothing more to be read
	closed  bool      // guarded by mu
	torn    bool      // guarded by mu: it was reset, and a Write has taken note of that
	changed sync.Cond // of mu
}

// newBackendConn wraps a connection of the net package.
func newBackendConn(c net.Conn, idle time.Duration, buffers *buffers, answers bool) net.Conn {
	stream, ok := c.(streamConn)
	if !ok {
		return c
	}
	b := &backendConn{streamConn: stream, idle: idle, buffers: buffers, answers: answers}
	b.changed.L = &b.mu
	return b
}

// Read implements io.Reader.
func (c *backendConn) Read(p []byte) (int, error) {
	c.set(&c.reading, true)
	n, err := c.streamConn.Read(p)
	c.mu.Lock()
	c.reading = false
	c.ended = c.ended || err != nil
	if err == io.EOF && c.torn {
		err = syscall.ECONNRESET // The kernel tells it once, and of the end from then on.
	}
	c.mu.Unlock()
	c.changed.Broadcast()
	return n, err
}

// Close implements io.Closer.
func (c *backendConn) Close() error {
	c.set(&c.closed, true)
	err := c.streamConn.Close()
	if x := c.user.Load(); x != nil {
		x.cutOff()
	}
	return err
}

func (c *backendConn) set(state *bool, to bool) {
	c.mu.Lock()
	*state = to
	c.mu.Unlock()
	c.changed.Broadcast()
}

// silent reports whether a connection that the transport has kept is as it must be
// before a request: nothing has come on it since the last answer. What comes
// unasked would be taken for the next one, by a transport that has handed the
// connection out before it looked.
//
// The transport looks at what it has read already before it reads again. So once it
// waits in Read there is nothing of that kind, and what it has found it closes the
// connection for; the rest is in the socket.
func (c *backendConn) silent() bool {
	c.mu.Lock()
	for !c.reading && !c.closed {
		c.changed.Wait()
	}
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	var peeked error
	err = raw.Control(func(fd uintptr) {
		_, _, peeked = unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
	})
	return err == nil && peeked == unix.EAGAIN
}

// Write implements io.Writer.
func (c *backendConn) Write(p []byte) (int, error) {
	if c.idle > 0 && !c.tunnel.Load() {
		if err := c.SetWriteDeadline(time.Now().Add(c.idle)); err != nil {
			return 0, err
		}
	}
	n, err := c.streamConn.Write(p)
	if err != nil && c.answers && !c.tunnel.Load() {
		c.hear(err)
	}
	return n, err
}

// hear waits after a Write to a backend that has closed the connection for what it said
// before that, as that may be an answer (RFC 9112 §9.5): the transport would drop it
// because of the error. All of it is here already, or the kernel would not know.
func (c *backendConn) hear(err error) {
	reset := errors.Is(err, syscall.ECONNRESET)
	if !reset && !errors.Is(err, syscall.EPIPE) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.torn = reset // EPIPE is said of one that the backend had ended in good order.
	for !c.ended && !c.closed {
		c.changed.Wait()
	}
}

// ReadFrom keeps io.Copy from looking for a way round Write.
func (c *backendConn) ReadFrom(r io.Reader) (int64, error) {
	buf := c.buffers.Get()
	defer c.buffers.Put(buf)
	return io.CopyBuffer(struct{ io.Writer }{c}, r, buf)
}

// unlimit makes of a connection to a backend one end of a tunnel. It may be
// wrapped for TLS.
func unlimit(c net.Conn) {
	if b := unwrap(c); b != nil {
		b.tunnel.Store(true)
		_ = b.SetWriteDeadline(time.Time{})
	}
}

// unwrap returns the backendConn that a connection is, or that it runs on with TLS,
// or nil.
func unwrap(c net.Conn) *backendConn {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = t.NetConn()
	}
	b, _ := c.(*backendConn)
	return b
}
