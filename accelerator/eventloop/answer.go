package eventloop

import (
	"strconv"

	"ramjet/accelerator/backend"
)

// firstRead is what is read at first of an answer: a small one whole, of a large one
// little more than its head.
const firstRead = 16 << 10

// readAnswer takes what has arrived of an answer and passes it on.
func (l *loop) readAnswer(u *conn) {
	x := u.x
	if x.client.out != nil {
		return // The client has to take what there is first.
	}
	if x.pipe != nil {
		l.splice(x)
		return
	}
	have := copy(l.answerIn, u.in)
	u.in = u.in[:0]
	for turn := 0; ; turn++ {
		if turn == maxTurns {
			u.in = append(u.in, l.answerIn[:have]...)
			l.later = append(l.later, u.key)
			return
		}
		u.more = false
		room := l.answerIn[have:]
		if !x.begun && have < firstRead {
			room = room[:firstRead-have] // Of a large answer the rest takes another way.
		}
		n, errno := recv(int(u.fd), room)
		switch {
		case errno == again && !x.deaf:
			u.in = append(u.in, l.answerIn[:have]...)
			return
		case errno != 0 || n == 0 && x.torn:
			l.answerFails(x, backend.ErrNoAnswer)
			return
		case n == 0:
			l.answerEnds(x, have > 0)
			return
		}
		emptied := n < len(room)
		rest, more := l.passOn(x, l.answerIn[:have+n])
		if !more {
			return
		}
		if emptied && !u.ended && !x.deaf {
			u.in = append(u.in, rest...)
			return
		}
		have = copy(l.answerIn, rest)
	}
}

// answerEnds is for the end of a backend's connection in the middle of an exchange.
func (l *loop) answerEnds(x *exchange, inHead bool) {
	switch {
	case x.begun && x.body.kind == byClose:
		if x.chunked {
			l.batch.buf = append(l.batch.buf, "0\r\n\r\n"...)
		}
		l.answered(x, false)
	case inHead:
		l.answerFails(x, backend.ErrBadAnswer)
	default:
		l.answerFails(x, backend.ErrNoAnswer)
	}
}

// passOn passes on what is complete in b, and returns what is not. There is no
// more if the exchange is over, or waits for the client.
func (l *loop) passOn(x *exchange, b []byte) (rest []byte, more bool) {
	for !x.begun {
		r := &l.reply
		v := r.parse(b)
		switch {
		case v == needMore && len(b) < min(len(l.answerIn), x.farm.HeadBytes):
			return l.headWaits(x, b)
		case v == complete && r.status == 101 && x.upgraded(r) && x.link.out == nil:
			l.openTunnel(x, r, b[r.size:])
			return nil, false
		case v != complete, r.size > x.farm.HeadBytes, r.status < 200 && !l.inform(x, r):
			l.batch.reset()
			l.answerFails(x, backend.ErrBadAnswer)
			return nil, false
		}
		b = b[r.size:]
		if r.status >= 200 {
			l.begin(x, r)
		}
	}
	payload, rest, done, ok := x.body.take(b)
	if !ok {
		l.batch.reset()
		l.answerBreaks(x, BackendAborted)
		return nil, false
	}
	x.bytes += int64(len(payload))
	l.addPayload(x, payload, done)
	if done {
		l.answered(x, len(rest) == 0)
		return nil, false
	}
	c := x.client
	if !l.flush(c, 0) {
		if c.out != nil {
			l.wheel.set(x.link, never) // It is the client who has to go on.
			l.block(c)
		}
		return nil, false
	}
	if l.splices(x) {
		l.splice(x)
		return nil, false
	}
	l.awaitMore(x)
	return nil, true
}

// awaitMore sets the time for the next piece of an answer.
func (l *loop) awaitMore(x *exchange) {
	if x.farm.Idle > 0 {
		l.wheel.set(x.link, l.clock.now+int64(x.farm.Idle))
	} else {
		l.wheel.set(x.link, never)
	}
}

// goOnRelaying is for a client that has made room.
func (l *loop) goOnRelaying(c *conn) {
	x := c.x
	c.state = relaying
	l.wheel.set(c, never)
	if !x.begun {
		l.askTimes(x)
	}
	l.readAnswer(x.link)
	if c.x == x && c.out == nil && !x.begun && c.more {
		l.feed(c)
	}
}

// headWaits is for a head that has come in part, perhaps behind informational answers.
func (l *loop) headWaits(x *exchange, b []byte) (rest []byte, more bool) {
	c := x.client
	if l.flush(c, 0) {
		return b, true
	}
	if c.out != nil {
		x.link.in = append(x.link.in[:0], b...)
		l.wheel.set(x.link, never)
		l.block(c)
	}
	return nil, false
}

// inform passes on an informational answer (RFC 9110 §15.2): what a client does not
// wait for does no harm. A 100 is not passed on, for no request that is relayed
// asks for it.
func (l *loop) inform(x *exchange, r *reply) bool {
	if x.infos++; x.infos > maxInfos || r.status == 101 {
		return false
	}
	if r.status != 100 {
		l.batch.buf = l.appendReply(l.batch.buf, x, r)
	}
	return true
}

// begin begins with the answer that its head has come of.
func (l *loop) begin(x *exchange, r *reply) {
	x.begun, x.status = true, r.status
	x.course.firstByte = l.since(x.course.began)
	if x.want > 0 || x.link.out != nil || x.deaf { // RFC 9112 §9.6: the rest of the request is not wanted.
		x.early, x.close = true, true
		x.client.more = true
		x.client.closing = true
		l.wheel.set(x.client, never)
	}
	x.link.closing = r.close || x.early
	switch {
	case x.method == head || r.status == 204 || r.status == 304:
		x.body.reset(byLength, 0)
	case r.coded:
		x.body.reset(inChunks, 0)
		x.chunked = true
	case r.length >= 0:
		x.body.reset(byLength, r.length)
	default:
		x.body.reset(byClose, 0)
		x.chunked = true
	}
	if x.body.kind == byLength && x.body.left == 0 {
		// A backend that sends a body to HEAD, or with 204 or 304, does it behind this
		// head. It must not be taken for the next answer.
		x.link.closing = x.link.closing || x.method == head || r.coded || r.status == 204 && r.length > 0
	}
	l.batch.buf = l.appendReply(l.batch.buf, x, r)
}

// addPayload adds a part of the body to the batch, as a chunk if it goes out in
// chunks.
func (l *loop) addPayload(x *exchange, payload []byte, done bool) {
	b := &l.batch
	if !x.chunked {
		b.borrow(payload)
		return
	}
	if len(payload) > 0 {
		b.buf = strconv.AppendUint(b.buf, uint64(len(payload)), 16)
		b.buf = append(b.buf, "\r\n"...)
		b.borrow(payload)
		b.buf = append(b.buf, "\r\n"...)
	}
	if done {
		b.buf = append(b.buf, "0\r\n"...)
		b.buf = append(b.buf, x.body.trailer...)
		b.buf = append(b.buf, "\r\n"...)
	}
}

// answered sends the end of an answer, and goes on with the client's next request.
// clean tells that nothing came behind the answer.
func (l *loop) answered(x *exchange, clean bool) {
	c, u := x.client, x.link
	l.tally.counters[RelaysWhole]++
	x.farm.Note(Relayed)
	l.judge(x, !overloaded(x.status))
	if clean && !u.closing && u.out == nil && !u.ended {
		x.link = nil
		l.keepLink(u)
	}
	c.closing = x.close || l.draining
	l.leave(x)
	if !l.flush(c, c.last()) {
		if c.out != nil {
			l.block(c)
		}
		return
	}
	c.state = idle
	l.resume(c)
}

// overloaded tells the answers that count as failures: they speak of the server,
// not of the request, as 501 and 505 do.
func overloaded(status int) bool { return status == 500 || 502 <= status && status <= 504 }
