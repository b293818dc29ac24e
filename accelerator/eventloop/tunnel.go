package eventloop

import "bytes"

// A tunnel is what an exchange becomes when the backend agrees to another protocol
// (RFC 9110 §7.8): whatever comes from one side goes to the other, and no limit of
// time is known. What one side does not take is not read from the other.

// upgraded tells whether an answer 101 is to what was asked for.
func (x *exchange) upgraded(r *reply) bool {
	return len(x.upgrade) > 0 && bytes.EqualFold(r.upgrade, x.upgrade)
}

// openTunnel begins with what has come behind the two heads.
func (l *loop) openTunnel(x *exchange, r *reply, behind []byte) {
	c, u := x.client, x.link
	x.begun, x.tunnel, x.status = true, true, 101
	x.course.firstByte = l.since(x.course.began)
	l.tunnels++
	x.farm.Note(TunnelBegan)
	l.batch.buf = l.appendReply(l.batch.buf, x, r)
	l.batch.borrow(behind)
	c.state, u.state = tunnelling, tunnelled
	l.wheel.set(c, never)
	l.wheel.set(u, never)
	// It may last: what it does not need any more others can use.
	l.endExchange(&exchange{raw: x.raw, ask: x.ask})
	x.raw, x.ask = nil, nil
	if !l.flush(c, 0) && c.out == nil {
		return
	}
	if c.out != nil {
		l.wantsRoom(c)
	}
	early := c.in
	c.in = nil
	if len(early) > 0 && !l.through(x, u, early) {
		return
	}
	l.fromClient(c)
	if c.x == x {
		l.fromBackend(u)
	}
}

// fromClient and fromBackend pass on what has come from one side.
func (l *loop) fromClient(c *conn)  { l.pump(c.x, c, c.x.link) }
func (l *loop) fromBackend(u *conn) { l.pump(u.x, u, u.x.client) }

// toClient and toBackend send on what there was no room for, then go on reading.
func (l *loop) toClient(c *conn)  { l.unblock(c.x, c, c.x.link) }
func (l *loop) toBackend(u *conn) { l.unblock(u.x, u, u.x.client) }

// pump passes on what has come from one side to the other.
func (l *loop) pump(x *exchange, from, to *conn) {
	for turn := 0; to.out == nil && !from.said; turn++ {
		if turn == maxTurns {
			l.later = append(l.later, from.key)
			return
		}
		n, errno := recv(int(from.fd), l.in)
		switch {
		case errno == again:
			return
		case errno != 0:
			l.closeTunnel(x)
			return
		case n == 0:
			from.said = true
			l.endDirection(x, to)
			return
		}
		if !l.through(x, to, l.in[:n]) {
			return
		}
		if n < len(l.in) && !from.ended {
			return
		}
	}
}

// through sends to one side, and reports whether the tunnel goes on.
func (l *loop) through(x *exchange, to *conn, b []byte) bool {
	n, errno := send(int(to.fd), b, 0)
	if to != x.link {
		l.tally.counters[Bytes] += uint64(n)
	}
	if errno != 0 && errno != again {
		l.closeTunnel(x)
		return false
	}
	if n < len(b) {
		to.out = l.keep(append(l.pieces[:0], piece{b, false}), n)
		l.wantsRoom(to)
	}
	return true
}

// wantsRoom has a side watched for room.
func (l *loop) wantsRoom(c *conn) {
	if c.backend == nil && !c.roomy {
		c.roomy = true
		l.watch(c)
	}
}

// unblock sends what one side had no room for, and goes on reading from the other.
func (l *loop) unblock(x *exchange, to, from *conn) {
	if to.out == nil {
		return
	}
	for len(to.out.pieces) > 0 {
		n, errno := l.push(to, to.out.pieces, 0)
		if errno != 0 && errno != again {
			l.closeTunnel(x)
			return
		}
		if n == 0 {
			return
		}
		to.out.consume(n)
	}
	l.forget(to)
	if from.said {
		l.endDirection(x, to)
		return
	}
	l.pump(x, from, to)
}

// endDirection tells one side that the other has said all. When both have, it is over.
func (l *loop) endDirection(x *exchange, to *conn) {
	if to.out != nil {
		return // Behind that.
	}
	shut(int(to.fd))
	if x.client.said && x.link.said {
		l.closeTunnel(x)
	}
}

// closeTunnel ends a tunnel, and both connections.
func (l *loop) closeTunnel(x *exchange) { l.drop(x.client) }
