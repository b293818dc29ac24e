package proxy

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"time"

	"ramjet/accelerator/backend"
	"ramjet/accelerator/proxyproto"
)

// dialer makes connections to a backend.
type dialer struct {
	backend *backend.Backend
	connect time.Duration // 0 is the system's limit
	idle    time.Duration
	buffers *buffers

	greeting Greeting
}

// dial is a http.Transport's DialContext. The address is known better here.
func (d dialer) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	network, address, err := d.backend.Endpoint()
	if err != nil {
		return nil, err
	}
	c, err := (&net.Dialer{Timeout: d.connect}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if d.greeting != NoGreeting {
		h, _ := ctx.Value(greetingKey{}).(proxyproto.Header)
		if _, err := c.Write(d.greeting.Append(nil, h)); err != nil { // It fits into the buffer of a new socket.
			_ = c.Close()
			return nil, err
		}
	}
	stream, ok := c.(streamConn)
	if !ok || d.idle == 0 {
		return c, nil
	}
	return &backendConn{streamConn: stream, idle: d.idle, buffers: d.buffers}, nil
}

// streamConn is a *net.TCPConn or a *net.UnixConn.
type streamConn interface {
	net.Conn
	CloseWrite() error
}

// backendConn is a connection to a backend on which a write cannot wait forever
// for the backend to read. Reading is the transport's affair: it always reads,
// on an unused connection too, to see it closed.
type backendConn struct {
	streamConn
	idle    time.Duration // for one Write
	buffers *buffers
	tunnel  atomic.Bool // writes have no limit
}

// Write implements io.Writer.
func (c *backendConn) Write(p []byte) (int, error) {
	if !c.tunnel.Load() {
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
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = t.NetConn()
	}
	if b, ok := c.(*backendConn); ok {
		b.tunnel.Store(true)
		_ = b.SetWriteDeadline(time.Time{})
	}
}
