package eventloop

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"ramjet/accelerator/backend"
	"ramjet/accelerator/connlimit"
)

// The hand-off gives a connection from a loop to the complete tier. Its rules:
//
//  1. Only at the beginning of a request, with all answers before it sent. The
//     loop consumes no request that it does not answer: what has been read goes
//     with the connection.
//  2. The descriptor leaves the epoll set first: net.FileConn duplicates it, and
//     the set would go on telling of what is no longer ours.
//  3. What the complete tier gets is a *net.TCPConn, with the bytes read beside
//     it, so that sendfile, splice and CloseWrite go on working.
//  4. It goes one way: a connection that was handed off stays there.
//  5. The queue is bounded. When it is full the connection is closed, and
//     counted: the loop waits for nobody.
//  6. The slot of the Limiter goes with the connection.
//  7. A request that a backend has failed goes with what is known of that.

// queueLength bounds the connections on their way to the complete tier.
const queueLength = 1024

// A Handoff is where the complete tier takes connections from: a net.Listener
// whose connections are *Conn.
type Handoff struct {
	addr    net.Addr
	limiter *connlimit.Limiter
	queue   chan handed
	once    sync.Once
	closed  chan struct{}
}

// handed is a connection on its way: to the complete tier, or to another loop.
type handed struct {
	fd     int
	from   netip.Addr
	unread []byte
	served bool             // has had an answer
	failed *backend.Attempt // its first request has been tried, nil if not
}

// handOff gives c away, with what has been read and not answered.
func (l *loop) handOff(c *conn, unread []byte, why Reason) { l.handOver(c, unread, why, nil) }

// handOver is handOff with what has become of the first request.
func (l *loop) handOver(c *conn, unread []byte, why Reason, failed *backend.Attempt) {
	l.tally.counters[HandedOff]++
	l.tally.handoffs[why]++
	h := handed{int(c.fd), c.from, append([]byte(nil), unread...), c.served, failed}
	if c.watched {
		watch(l.epoll, unix.EPOLL_CTL_DEL, h.fd, 0, key{})
	}
	l.release(c)
	select {
	case l.server.handoff.queue <- h:
	default:
		l.tally.counters[HandoffDropped]++
		closeDescriptor(h.fd)
		l.server.Limiter.Release(h.from)
	}
}

// Accept waits for a connection. It returns net.ErrClosed after Close.
func (h *Handoff) Accept() (net.Conn, error) {
	for {
		select {
		case <-h.closed:
			h.empty()
			return nil, net.ErrClosed
		case next := <-h.queue:
			c, err := next.conn()
			if err == nil {
				return c, nil
			}
			h.limiter.Release(next.from) // It is closed: no descriptor to duplicate it into, or the client has gone.
		}
	}
}

// conn makes a net.Conn of the descriptor, which is closed.
func (n handed) conn() (*Conn, error) {
	file := os.NewFile(uintptr(n.fd), "connection")
	defer file.Close()
	c, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	if c.RemoteAddr() == nil { // The kernel forgets the peer of a connection that was reset meanwhile.
		c.Close()
		return nil, errGone
	}
	return &Conn{TCPConn: c.(*net.TCPConn), unread: n.unread, served: n.served, failed: n.failed}, nil
}

var errGone = errors.New("the client has gone")

// empty closes what nobody will take any more.
func (h *Handoff) empty() {
	for {
		select {
		case next := <-h.queue:
			closeDescriptor(next.fd)
			h.limiter.Release(next.from)
		default:
			return
		}
	}
}

// Close ends Accept. The loops must have ended, or what they hand off is lost.
func (h *Handoff) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

// Addr returns the address at which the loops listen.
func (h *Handoff) Addr() net.Addr { return h.addr }

// A Conn is a connection that was handed off. Its first bytes have been read
// already, and come first.
type Conn struct {
	*net.TCPConn
	unread []byte
	served bool
	failed *backend.Attempt
}

// Served reports whether the loop has answered on it: then it is a connection of
// HTTP/1, whatever comes next.
func (c *Conn) Served() bool { return c.served }

// Take returns the connection and the bytes read, for one who reads them himself.
func (c *Conn) Take() (tcp *net.TCPConn, unread []byte) { return c.TCPConn, c.unread }

// Failed returns what has become of the first request already, nil if nothing has.
func (c *Conn) Failed() *backend.Attempt { return c.failed }

// Read reads the bytes read already, then others.
func (c *Conn) Read(p []byte) (int, error) {
	if len(c.unread) > 0 {
		n := copy(p, c.unread)
		c.unread = c.unread[n:]
		return n, nil
	}
	return c.TCPConn.Read(p)
}

// WriteTo is promoted from TCPConn otherwise, and would leave out the bytes read
// already.
func (c *Conn) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(c.unread)
	if c.unread = c.unread[n:]; err != nil {
		return int64(n), err
	}
	m, err := c.TCPConn.WriteTo(w)
	return int64(n) + m, err
}
