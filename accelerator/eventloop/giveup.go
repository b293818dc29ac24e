package eventloop

import (
	"time"

	"ramjet/accelerator/accesslog"
	"ramjet/accelerator/backend"
)

// What becomes of an exchange that does not come to its end.

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
		x.deaf, x.torn = false, false
		x.regain(c)
		l.dial(x)
		return
	}
	l.giveUp(c, x, &backend.Attempt{Backend: x.backend, Connected: true, Connect: x.course.connect, Err: err})
}

// giveUp hands a request that failed to the complete tier.
func (l *loop) giveUp(c *conn, x *exchange, a *backend.Attempt) {
	a.Began, a.Retries = l.clock.base.Add(time.Duration(x.course.began)), x.course.retries
	unread := x.raw
	if a.Lost = x.spent; !a.Lost {
		x.regain(c)
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
