package eventloop

import (
	"slices"
	"syscall"

	"ramjet/accelerator/backend"
)

// A request on its way to a backend: its head at once, its body as it comes from the
// client. What the backend does not take is not read from the client.

// send sends the request's head and the beginning of its body.
func (l *loop) send(x *exchange, link *conn, body []byte) {
	c := x.client
	x.link, link.x = link, x
	link.state, c.state = asking, relaying
	x.spend(body)
	pieces := append(l.pieces[:0], piece{x.ask, false})
	if len(body) > 0 {
		pieces = append(pieces, piece{body, false})
	}
	if l.toLink(link, pieces) {
		l.askTimes(x)
	}
}

// toLink sends to a backend. What there is no room for waits. It reports whether
// the exchange goes on.
func (l *loop) toLink(link *conn, pieces []piece) bool {
	n, errno := l.push(link, pieces, 0)
	if errno != 0 && errno != again {
		l.notTaken(link, errno)
		return false
	}
	for _, p := range pieces {
		n -= len(p.bytes)
	}
	if n < 0 {
		total := n
		for _, p := range pieces {
			total += len(p.bytes)
		}
		link.out = l.keep(pieces, total)
	}
	return true
}

// notTaken is for a backend that takes no more of a request. It may have answered before
// it closed (RFC 9112 §9.5): that is in the socket still, and read now.
func (l *loop) notTaken(link *conn, errno syscall.Errno) {
	x := link.x
	l.forget(link)
	// A connection that the backend has ended in good order, and reset only because we
	// sent on, says EPIPE. The end of any other one is not seen any more once this error
	// was taken from it: it would read like a good one.
	x.deaf, x.torn = true, errno != syscall.EPIPE
	l.readAnswer(link)
}

// maxStart bounds what is kept of a request's body, in bytes, as in the complete tier.
const maxStart = 16 << 10

// spend notes that the next part of the request's body is on its way. It is kept as long
// as that is little, and the request may be sent once more.
func (x *exchange) spend(body []byte) {
	x.want -= int64(len(body))
	switch {
	case len(body) == 0 || x.spent:
	case !x.method.idempotent() || len(x.start)+len(body) > maxStart:
		x.spent = true
	default:
		x.start = append(x.start, body...)
	}
}

// regain puts what was sent of the body back before what has come of it since.
func (x *exchange) regain(c *conn) {
	x.want += int64(len(x.start))
	c.in = append(slices.Clone(x.start), c.in...)
	x.start = x.start[:0]
}

// askTimes sets the deadlines of a request that is being sent.
func (l *loop) askTimes(x *exchange) {
	link, client := int64(never), int64(never)
	limit := x.farm.FirstByte
	switch {
	case x.link.out != nil:
		limit = x.farm.Idle
	case x.want > 0:
		limit = 0
		patience := l.server.Limits.StallTime
		if x.farm.Idle > 0 {
			patience = min(patience, x.farm.Idle)
		}
		client = l.clock.now + int64(patience)
	}
	if limit > 0 {
		link = l.clock.now + int64(limit)
	}
	l.wheel.set(x.link, link)
	l.wheel.set(x.client, client)
}

// feed passes on what has come of the request's body, and notes that the client
// has gone: then nobody waits for the answer.
func (l *loop) feed(c *conn) {
	x := c.x
	for turn := 0; x.want > 0 && !x.early && !x.deaf; turn++ {
		if x.link.out != nil {
			return // Its turn comes when that is sent.
		}
		if turn == maxTurns {
			l.later = append(l.later, c.key)
			return
		}
		c.more = false
		n, errno := recv(int(c.fd), l.in[:min(int64(len(l.in)), x.want)])
		if errno == again {
			l.askTimes(x)
			return
		}
		if errno != 0 || n == 0 {
			l.drop(c)
			return
		}
		c.more = true // Until there is nothing left.
		x.spend(l.in[:n])
		if !l.toLink(x.link, append(l.pieces[:0], piece{l.in[:n], false})) {
			return
		}
	}
	if x.want == 0 {
		l.askTimes(x)
	}
	if c.ended && len(c.in) == 0 && !x.early && l.nothingLeft(c) {
		l.drop(c)
	}
}

// nothingLeft tells whether the client has ended with nothing more to be read.
func (l *loop) nothingLeft(c *conn) bool {
	n, errno := peek(int(c.fd), l.probe[:])
	return errno == 0 && n == 0
}

// feedTooSlow is for a client that does not go on with its request's body.
func (l *loop) feedTooSlow(c *conn) {
	if c.x.want == 0 || c.x.early {
		l.wheel.set(c, never)
		return
	}
	l.answerFails(c.x, backend.ErrClientStalled)
}

// askMore sends on what there was no room for.
func (l *loop) askMore(link *conn) {
	x := link.x
	for o := link.out; o != nil && len(o.pieces) > 0; {
		n, errno := l.push(link, o.pieces, 0)
		if errno != 0 && errno != again {
			l.notTaken(link, errno)
			return
		}
		if n == 0 {
			return
		}
		o.consume(n)
	}
	if link.out == nil {
		return
	}
	l.forget(link)
	if x.begun || x.client.out != nil { // The client has to take what there is first, see goOnRelaying.
		return
	}
	l.askTimes(x)
	if x.want > 0 {
		l.feed(x.client)
	}
}
