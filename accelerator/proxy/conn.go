package proxy

import (
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
	tunnel  atomic.Bool // writes have no limit

	mu      sync.Mutex
	reading bool      // guarded by mu: the transport waits in Read
	closed  bool      // guarded by mu
	changed sync.Cond // of mu
}

// newBackendConn wraps a connection of the net package.
func newBackendConn(c net.Conn, idle time.Duration, buffers *buffers) net.Conn {
	stream, ok := c.(streamConn)
	if !ok {
		return c
	}
	b := &backendConn{streamConn: stream, idle: idle, buffers: buffers}
	b.changed.L = &b.mu
	return b
}

// Read implements io.Reader.
func (c *backendConn) Read(p []byte) (int, error) {
	c.set(&c.reading, true)
	n, err := c.streamConn.Read(p)
	c.set(&c.reading, false)
	return n, err
}

// Close implements io.Closer.
func (c *backendConn) Close() error {
	c.set(&c.closed, true)
	return c.streamConn.Close()
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
	return c.streamConn.Write(p)
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
