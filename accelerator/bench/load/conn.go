package load

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// conn is one connection: what it has to send, and where it is in the answers
// that it expects.
type conn struct {
	fd       int
	unsent   []byte // of the requests on their way
	requests []byte // its own buffer, which unsent is part of
	sent     int64  // when they were to be sent, ns

	answers []uint16 // the requests whose answers are outstanding, in order
	got     int      // bytes of the first of them that have come
}

var errClosed = errors.New("the server closed a connection in the middle of its work")

// connect opens connection i. A connection to this machine is there when
// connect(2) returns, so this does not wait for it; send does if it must.
func (g *Generator) connect(i int32) error {
	fd, err := dial(g.shape.Address, i)
	if err != nil {
		return err
	}
	g.conns[i].fd = fd
	// Edge-triggered, and for both directions at once: never to be changed.
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: i}
	if err := unix.EpollCtl(g.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}

// send sends the next requests on connection i. Their latency counts from sent.
func (g *Generator) send(i int32, sent int64) error {
	c := &g.conns[i]
	c.sent, c.got = sent, 0
	c.requests, c.answers = c.requests[:0], c.answers[:0]
	for range g.shape.Depth {
		request := g.shape.Order[g.next]
		g.next = (g.next + 1) % len(g.shape.Order)
		c.requests = append(c.requests, g.shape.Requests[request].Bytes...)
		c.answers = append(c.answers, request)
	}
	c.unsent = c.requests
	return c.flush()
}

// sayHello sends what connection i begins with.
func (g *Generator) sayHello(i int32) error {
	c := &g.conns[i]
	hello := len(g.shape.Requests) - 1
	c.unsent, c.answers = g.shape.Requests[hello].Bytes, append(c.answers, uint16(hello))
	return c.flush()
}

// flush sends what it can.
func (c *conn) flush() error {
	n, err := send(c.fd, c.unsent)
	if err != nil {
		return err
	}
	c.unsent = c.unsent[n:]
	return nil
}

// serve handles what happened on a connection.
func (g *Generator) serve(event unix.EpollEvent) error {
	c := &g.conns[event.Fd]
	if len(c.unsent) > 0 {
		if err := c.flush(); err != nil {
			return err
		}
	}
	for {
		into, flags := g.room(c)
		n, again, err := receive(c.fd, into, flags)
		switch {
		case err != nil:
			return err
		case again:
			return nil
		case n == 0:
			return g.closed(event.Fd)
		}
		if err := g.take(c, into[:n], flags != 0); err != nil {
			return err
		}
		if len(c.answers) == 0 && !g.shape.Close {
			return g.finished(event.Fd)
		}
		if n < len(into) && !g.shape.Close {
			return nil // Drained; what comes later is a new event.
		}
	}
}

// discarded is the size from which the rest of an answer is not copied out of
// the kernel, but thrown away there. A network card would have taken it without
// the server's core, and the client must not be what limits a large answer.
const discarded = 64 << 10

// room returns where to receive the next bytes, and how.
func (g *Generator) room(c *conn) (into []byte, flags int) {
	if len(c.answers) > 0 {
		request := &g.shape.Requests[c.answers[0]]
		if left := request.Length - c.got; left >= discarded && c.got >= len(request.Status) {
			return g.buffer[:min(left, len(g.buffer))], unix.MSG_TRUNC
		}
		if request.Length >= discarded && c.got == 0 {
			return g.buffer[:1024], 0
		}
	}
	return g.buffer, 0
}

// take checks bytes that came. Of discarded ones only the number is known.
func (g *Generator) take(c *conn, came []byte, discarded bool) error {
	for len(came) > 0 {
		if len(c.answers) == 0 {
			return fmt.Errorf("%d bytes came that nobody had asked for, or an answer is longer than the first one was: %.100q", len(came), came)
		}
		request := &g.shape.Requests[c.answers[0]]
		if c.got < len(request.Status) && !discarded {
			want := request.Status[c.got:]
			if n := min(len(want), len(came)); !bytes.Equal(came[:n], []byte(want[:n])) {
				return fmt.Errorf("an answer began with %.100q, want %q", came, want)
			}
		}
		n := min(request.Length-c.got, len(came))
		c.got += n
		came = came[n:]
		if c.got == request.Length {
			c.answers = c.answers[:copy(c.answers, c.answers[1:])]
			c.got = 0
			if !g.shape.Close {
				g.count(c)
			}
		}
	}
	return nil
}

// count counts an answer.
func (g *Generator) count(c *conn) {
	g.done++
	if g.latency != nil {
		g.latency.RecordValue(max(g.now()-c.sent, 1))
	}
}

// finished gives connection i new work, or lets it wait for some.
func (g *Generator) finished(i int32) error {
	if g.shape.Rate > 0 || g.opening {
		g.rest(i)
		return nil
	}
	return g.send(i, g.now())
}

// closed handles the end of connection i, which is as it should be if each
// request has a connection of its own.
func (g *Generator) closed(i int32) error {
	c := &g.conns[i]
	if !g.shape.Close || len(c.answers) > 0 {
		return errClosed
	}
	g.count(c)
	unix.Close(c.fd)
	c.fd = -1
	now := g.now() // The new connection is part of the next request.
	if err := g.connect(i); err != nil {
		return err
	}
	if g.shape.Rate > 0 {
		g.rest(i)
		return nil
	}
	return g.send(i, now)
}
