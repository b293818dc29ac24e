package eventloop

import (
	"time"

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
	fresh  bool   // the link was made for it
	start  []byte // what was sent of the request's body, if it may be sent again
	spent  bool   // it may not, and some of it was sent
	want   int64  // bytes of the request's body that have not come yet
	close  bool   // the client's connection ends with the answer
	early  bool   // the answer began before the request was sent
	deaf   bool   // the backend takes no more of the request
	torn   bool   // because it has reset the connection: the end of that is not the answer's

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
	if c.x == x && c.state == relaying && x.want > 0 && c.more { // Then nothing of b is left that feed's reading could spoil.
		l.feed(c)
	}
	return stop, none
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
	*x = exchange{raw: x.raw[:0], ask: x.ask[:0], start: x.start[:0], upgrade: x.upgrade[:0], body: framing{trailer: x.body.trailer[:0], line: x.body.line[:0]}, log: late{buf: x.log.buf[:0]}}
	if len(l.exchanges) < maxSpare {
		l.exchanges = append(l.exchanges, x)
	}
}
