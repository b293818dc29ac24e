package eventloop

import (
	"time"

	"ramjet/accelerator/accesslog"
	"ramjet/accelerator/backend"
)

// An exchange is a request on its way to a backend, and its answer on its way
// back. It belongs to the client's connection from the request's head to the last
// byte that was read of the answer.
//
// No answer can go to the wrong request, and no body can hide a message, because
// there is one framing on each side and each is written here: a request goes out
// with its length as a number that was read from the one Content-Length it had
// (any other framing is not relayed), and an answer is taken apart by framing and
// put together anew. A backend's connection has one exchange at a time, and is
// used again only if the last answer ended where its framing says, the request
// was sent whole, and nothing came behind.
//
// A request that fails before any of its answer was sent is handed to the complete
// tier, which knows what to do about failures: the next backend, a wait, an error
// page. Behind that the client's connection is cut, so that nobody takes a part
// for the whole.
type exchange struct {
	farm    *Farm
	backend *backend.Backend
	client  *conn
	link    *conn // nil while it is being made

	method method
	fresh  bool  // the link was made for it
	spent  bool  // some of the request's body was sent
	want   int64 // bytes of the request's body that have not come yet
	close  bool  // the client's connection ends with the answer
	early  bool  // the answer began before the request was sent

	begun   bool             // the head of the answer was passed on
	chunked bool             // its body goes out in chunks
	stayed  *backend.Backend // to whom the client was sent before, as its cookie says
	upgrade []byte           // the protocol that the client wishes to change to
	tunnel  bool             // the backend has agreed
	infos   int              // informational answers before it
	course  course
	status  int
	bytes   int64 // of its body
	body    framing
	pipe    *pipe // through which the rest of the body goes, or nil

	raw []byte // the request's head, as received
	ask []byte // and as it is sent
	log late
}

// maxInfos bounds the informational answers to one request, as in the complete tier.
const maxInfos = 64

// forwardable says why a request cannot be relayed, none if it can.
func (l *loop) forwardable(c *conn, r *request, farm *Farm) Reason {
	switch {
	case r.rare != none:
		return r.rare
	case farm.BodyBytes > 0 && r.length > farm.BodyBytes:
		return Body
	case farm.trusts(c.from) && (r.repeats || farm.HashOn == HashAddress || len(r.forwardedHost) > 0 && !plainHost(r.forwardedHost)):
		return Special // What it says takes more than copying.
	case r.repeats && (farm.Sticky != "" || farm.HashOn == HashCookie):
		return Special
	}
	return none
}

// forward sends the request that b begins with to a backend.
func (l *loop) forward(c *conn, r *request, b []byte, farm *Farm) (step, Reason) {
	if why := l.forwardable(c, r, farm); why != none {
		return refuse, why
	}
	if !l.flush(c, 0) {
		if c.out != nil {
			l.block(c)
		}
		return retry, none
	}
	stayed := l.choose(c, r, b, farm)
	to := farm.Pool.TryTake(&l.choice)
	if to == nil {
		return refuse, Busy
	}
	l.tally.counters[RelaysBegun]++
	farm.Note(Began)
	r.close = r.close || l.draining
	x := l.newExchange()
	x.farm, x.backend, x.client, x.method, x.close, x.want = farm, to, c, r.method, r.close, max(r.length, 0)
	x.stayed = stayed
	x.raw = append(x.raw, b[r.blank:r.size]...)
	x.upgrade = append(x.upgrade, r.upgrade...)
	x.ask = x.appendRequest(x.ask, r, b)
	x.course.began = l.clock.now
	l.logBegin(c, r, x)
	c.x = x
	if !c.watched {
		l.watch(c)
	}
	link := l.unused(to)
	if link == nil {
		l.save(c, b[r.size:])
		l.dial(x)
		return stop, none
	}
	body := b[r.size:]
	body = body[:min(int64(len(body)), x.want)]
	r.size += len(body)
	l.save(c, b[r.size:])
	l.send(x, link, body)
	if c.x == x && x.want > 0 && c.more { // Then nothing of b is left that feed's reading could spoil.
		l.feed(c)
	}
	return stop, none
}

// send sends the request's head and the beginning of its body.
func (l *loop) send(x *exchange, link *conn, body []byte) {
	c := x.client
	x.link, link.x = link, x
	link.state, c.state = asking, relaying
	x.want -= int64(len(body))
	x.spent = len(body) > 0
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
		l.answerFails(link.x, backend.ErrNoAnswer)
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
	for turn := 0; x.want > 0 && !x.early; turn++ {
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
		x.want -= int64(n)
		x.spent = true
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
			l.answerFails(x, backend.ErrNoAnswer)
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

// answerTooSlow is for a backend that does not begin its answer, or stops inside of it.
func (l *loop) answerTooSlow(link *conn) {
	x := link.x
	switch {
	case x.begun:
		l.answerBreaks(x, BackendStalled)
	case link.out != nil:
		l.answerFails(x, backend.ErrNotRead)
	default:
		l.answerFails(x, backend.ErrFirstByte)
	}
}

// answerFails ends an exchange. If the client may have a part of its answer, or of an
// informational one, nobody else can begin anew.
func (l *loop) answerFails(x *exchange, err error) {
	if x.begun || x.client.out != nil {
		l.answerBreaks(x, BackendAborted)
		return
	}
	c := x.client
	if x.link != nil {
		l.hangUp(x.link)
		x.link = nil
	}
	if err == backend.ErrNoAnswer && !x.fresh && !x.spent && x.infos == 0 && x.method.idempotent() {
		// It was unused for a while, and the backend has just closed it.
		x.farm.Note(Retried)
		x.course.retries++
		l.dial(x)
		return
	}
	l.giveUp(c, x, &backend.Attempt{Backend: x.backend, Connected: true, Connect: x.course.connect, Err: err})
}

// giveUp hands a request that failed to the complete tier.
func (l *loop) giveUp(c *conn, x *exchange, a *backend.Attempt) {
	a.Began, a.Retries = l.clock.base.Add(time.Duration(x.course.began)), x.course.retries
	unread := x.raw
	if !x.spent {
		unread = append(unread, c.in...)
	}
	x.farm.Note(GivenUp)
	c.x = nil
	x.farm.Pool.Release(x.backend)
	l.handOver(c, unread, Failed, a)
	l.endExchange(x)
}

// answerBreaks ends an exchange of whose answer a part was sent.
func (l *loop) answerBreaks(x *exchange, why Event) {
	c := x.client
	x.farm.Note(why)
	x.course.trouble = why
	x.backend.Failures.Add(1)
	l.judge(x, false)
	l.leave(x)
	l.abort(c)
}

// clientLeaves ends the exchange of a client that has gone, or a tunnel.
func (l *loop) clientLeaves(c *conn) {
	x := c.x
	if !x.tunnel {
		l.clientFails(x, ClientAborted)
		return
	}
	l.tunnels--
	x.farm.Note(TunnelEnded)
	x.farm.Note(Relayed)
	l.tally.counters[RelaysWhole]++
	l.judge(x, true)
	l.leave(x)
}

// clientFails ends an exchange that the client does not see the end of.
func (l *loop) clientFails(x *exchange, why Event) {
	x.farm.Note(why)
	x.course.trouble = why
	if !x.begun {
		x.status = accesslog.StatusGone
	}
	l.leave(x)
}

// leave ends an exchange: its link with it, if it is not to be used again.
func (l *loop) leave(x *exchange) {
	x.client.x = nil
	l.endPipe(x)
	if x.link != nil {
		l.hangUp(x.link)
	}
	x.farm.Pool.Release(x.backend)
	l.logEnd(x)
	l.endExchange(x)
}

// judge tells the pool how the backend did.
func (l *loop) judge(x *exchange, well bool) {
	switch {
	case well:
		x.backend.Served()
	case x.farm.Pool.Failed(x.backend):
		until, _ := x.backend.Ejected(time.Now())
		l.server.Log.Warn("backend failed too often, left out for a while", "backend", x.backend.URL.String(), "until", until.UTC().Format(time.RFC3339))
	}
}

func (l *loop) newExchange() *exchange {
	if n := len(l.exchanges); n > 0 {
		x := l.exchanges[n-1]
		l.exchanges = l.exchanges[:n-1]
		return x
	}
	return &exchange{}
}

// endExchange keeps an exchange to be used again.
func (l *loop) endExchange(x *exchange) {
	*x = exchange{raw: x.raw[:0], ask: x.ask[:0], upgrade: x.upgrade[:0], body: framing{trailer: x.body.trailer[:0], line: x.body.line[:0]}, log: late{buf: x.log.buf[:0]}}
	if len(l.exchanges) < maxSpare {
		l.exchanges = append(l.exchanges, x)
	}
}
