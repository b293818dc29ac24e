package eventloop

import (
	"bytes"
	"syscall"

	"golang.org/x/sys/unix"

	"ramjet/accelerator/content"
)

const again = syscall.EAGAIN

// maxTurns is how often one connection is read from before others have their turn.
const maxTurns = 4

// read takes what has arrived on c and answers what is complete of it.
func (l *loop) read(c *conn) {
	have := copy(l.in, c.in)
	for turn := 0; ; turn++ {
		if turn == maxTurns {
			l.save(c, l.in[:have])
			l.later = append(l.later, c.key)
			return
		}
		c.more = false
		n, errno := recv(int(c.fd), l.in[have:])
		switch {
		case errno == again:
			l.park(c, l.in[:have])
			return
		case errno != 0:
			l.tally.counters[Resets]++
			l.drop(c)
			return
		case n == 0 && !c.trifle(l.in[:have]): // What has come in part will never be complete.
			l.handOff(c, l.in[:have], Truncated)
			return
		case n == 0:
			l.drop(c)
			return
		}
		emptied := have+n < len(l.in)
		c.more = !emptied // There is no second event for what is left.
		rest, ok := l.serve(c, l.in[:have+n])
		if !ok {
			return
		}
		if emptied && !c.ended { // There is no second event for an end that came with the last bytes.
			l.park(c, rest)
			return
		}
		have = copy(l.in, rest)
	}
}

// resume goes on behind an answer that was sent in part: with the requests that
// were behind it, then with what has arrived meanwhile.
func (l *loop) resume(c *conn) {
	if c.closing {
		l.finish(c)
		return
	}
	rest, ok := l.serve(c, l.in[:copy(l.in, c.in)])
	switch {
	case !ok:
	case c.more || c.ended:
		l.save(c, rest)
		l.read(c)
	default:
		l.park(c, rest)
	}
}

// park has c wait for more, with the beginning of a head or nothing. The time
// for a head is that of the whole of it, for the first from the accept on.
func (l *loop) park(c *conn, rest []byte) {
	if !c.stays { // It has had its first answer, and goes on.
		c.stays = true
		if other := l.server.lighter(l, c); other != nil && l.give(c, rest, other) {
			return
		}
	}
	if !c.watched {
		l.watch(c)
	}
	l.save(c, rest)
	switch {
	case c.state == inHead:
	case len(rest) > 0:
		l.enter(c, inHead)
	default:
		l.enter(c, idle)
	}
}

// save keeps what is not answered yet.
func (l *loop) save(c *conn, rest []byte) {
	if len(rest) == 0 || c.state == gone {
		c.in = nil
		return
	}
	c.in = append(c.in[:0], rest...)
}

// serve answers the requests in b in their order, as far as they are complete,
// with one write for all of them, and returns what is left of b. It is not ok if
// c does not wait for more: because it waits to send, or for the disk, or is gone.
func (l *loop) serve(c *conn, b []byte) (rest []byte, ok bool) {
	r := &l.request
	for len(b) > 0 {
		v, why := r.parse(b)
		if v == needMore && len(b) >= l.maxHead || v == complete && r.size > l.maxHead {
			v, why = notMine, HeadSize
		}
		if v == needMore || v == notMine && c.trifle(b) {
			break
		}
		next := proceed
		if v == complete {
			next, why = l.answer(c, r, b)
		}
		if v == notMine || next == refuse {
			if l.flush(c, 0) {
				l.handOff(c, b, why)
			} else if c.out != nil { // It is parsed again when the answers before it are sent.
				l.save(c, b)
				l.block(c)
			}
			return nil, false
		}
		if next == retry { // Not answered: what is before it was sent, it waits.
			l.save(c, b)
			return nil, false
		}
		b = b[r.size:]
		c.closing = r.close
		c.served = true
		if next == stop { // Sent in part.
			l.save(c, b)
			return nil, false
		}
		c.state = idle
		if c.closing {
			break
		}
		if l.batch.full() && !l.flush(c, 0) {
			l.stopped(c, b)
			return nil, false
		}
	}
	if !l.flush(c, c.last()) {
		l.stopped(c, b)
		return nil, false
	}
	if c.closing {
		l.save(c, b)
		l.finish(c)
		return nil, false
	}
	return b, true
}

// last returns the flags to send with: if the connection is closed next, the end
// of the answer waits for that, and goes out in one packet with the FIN.
func (c *conn) last() int {
	if c.closing {
		return unix.MSG_MORE
	}
	return 0
}

// trifle tells whether b is too little to be taken for a request, as net/http has
// it: nothing but empty lines, or behind an answer fewer than four bytes of a
// request line. A client that ends there is owed no 400.
func (c *conn) trifle(b []byte) bool {
	for range maxBlank / len("\r\n") {
		if begins(b, "\r\n") {
			b = b[len("\r\n"):]
		}
	}
	if len(b) > 3 || len(b) > 0 && !c.served {
		return false
	}
	method, target, _ := bytes.Cut(b, space)
	for _, c := range method {
		if class[c]&tokenByte == 0 {
			return false
		}
	}
	for _, c := range target {
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	return len(method) > 0 || len(b) == 0
}

var space = []byte{' '}

// stopped is for a flush that did not send all: c is gone, or has output.
func (l *loop) stopped(c *conn, rest []byte) {
	if c.out == nil {
		return
	}
	l.save(c, rest)
	l.block(c)
}

// step is what an answer left to be done.
type step uint8

const (
	proceed step = iota // it is in the batch, or sent: go on
	stop                // it is sent in part, c waits or is gone
	retry               // c waits for the disk, then the request is looked at again
	refuse              // not answered: for the complete tier
)

// answer answers the request that b begins with, or says why it does not.
func (l *loop) answer(c *conn, r *request, b []byte) (step, Reason) {
	scene := l.server.scene.Load()
	if scene == nil {
		return refuse, NotStatic
	}
	page, why := l.find(scene.view, r)
	switch {
	case why != none:
		return refuse, why
	case page != nil && page.Static:
		return l.answerStatic(c, r, page)
	case page != nil && page.Redirect:
		return refuse, NotStatic
	case scene.route == nil && r.odd != none:
		return refuse, r.odd
	case scene.route == nil:
		return refuse, NotStatic
	}
	farm := scene.route(r.method.name(), text(r.host), text(r.target))
	if farm == nil {
		return refuse, Special
	}
	return l.forward(c, r, b, farm)
}

// answerStatic answers with a file.
func (l *loop) answerStatic(c *conn, r *request, page *content.Page) (step, Reason) {
	if r.odd != none {
		return refuse, r.odd
	}
	form := l.represent(page, r)
	if form == nil {
		return refuse, NotAcceptable
	}
	body, inMemory := form.Bytes()
	if !inMemory {
		if _, open := form.Descriptor(); !open {
			return refuse, NotOpen
		}
		if c.lost || !l.unchanged(form.Representation) {
			c.lost = false
			return refuse, Unreadable
		}
	}
	matches, why := notModified(r, form)
	if why != none {
		return refuse, why
	}
	if len(form.OK) > maxRendered/2 {
		return refuse, HeadSize
	}
	r.close = r.close || l.draining
	if matches {
		l.head(r, status304, form.NotModified)
		l.tally.counters[NotModified]++
		l.note(c, r, 304, 0)
		return proceed, none
	}
	if !inMemory && r.method != head && form.Size > 0 {
		return l.answerFile(c, r, form), none
	}
	l.head(r, status200, form.OK)
	l.tally.counters[OK]++
	if r.method == head || len(body) == 0 {
		l.note(c, r, 200, 0)
		return proceed, none
	}
	l.tally.counters[MemoryBytes] += uint64(len(body))
	if c.sent += len(body); c.sent >= muchAtOnce && !c.settled {
		l.goFar(c)
	}
	l.batch.body(body)
	if len(body) <= copyAtMost {
		l.note(c, r, 200, int64(len(body)))
		return proceed, none
	}
	return l.flushLarge(c, r, int64(len(body))), none
}

// The status lines, without the version.
const (
	status200 = " 200 OK\r\n"
	status304 = " 304 Not Modified\r\n"
)

// head adds a rendered head to the batch.
func (l *loop) head(r *request, status string, fields []byte) {
	b := l.batch.buf
	if r.minor == 1 {
		b = append(b, "HTTP/1.1"...)
	} else {
		b = append(b, "HTTP/1.0"...)
	}
	b = append(b, status...)
	b = append(b, l.clock.date...)
	switch {
	case r.close && r.minor == 1:
		b = append(b, "Connection: close\r\n"...)
	case !r.close && r.minor == 0:
		b = append(b, "Connection: keep-alive\r\n"...)
	}
	l.batch.buf = append(b, fields...)
	l.tally.counters[Requests]++
}

// flushLarge sends the batch, which ends in a large body: how much of it the
// client took decides what the log says.
func (l *loop) flushLarge(c *conn, r *request, size int64) step {
	c.closing = r.close
	if l.flush(c, c.last()) {
		l.note(c, r, 200, size)
		return proceed
	}
	if c.out == nil {
		return stop
	}
	l.noteLate(c, r, size)
	l.block(c)
	return stop
}

// answerFile answers with a file.
func (l *loop) answerFile(c *conn, r *request, form *form) step {
	fd, _ := form.Descriptor()
	first := min(form.Size, pieceAtMost)
	if !l.hot(c, fd, 0, first) {
		if l.flush(c, 0) {
			l.fetch(c, job{file: form.Representation, at: 0, n: first})
			return retry
		}
		if c.out != nil {
			l.block(c)
		}
		return retry
	}
	c.warm = true
	if form.Size >= muchAtOnce && !c.settled {
		l.goFar(c)
	}
	l.head(r, status200, form.OK)
	l.tally.counters[OK]++
	sent := l.flush(c, unix.MSG_MORE)
	if !sent && c.out == nil {
		return stop
	}
	if c.out == nil {
		c.out = l.newOutput()
	}
	c.out.file, c.out.at, c.out.end = form.Representation, 0, form.Size
	l.noteLate(c, r, form.Size)
	if !sent {
		l.block(c)
		return stop
	}
	if !l.sendRest(c) {
		return stop
	}
	l.logLate(c, 0)
	l.forget(c)
	return proceed
}
