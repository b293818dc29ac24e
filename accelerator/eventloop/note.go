package eventloop

import (
	"time"

	"ramjet/accelerator/accesslog"
)

// late is what the log will say of an answer that takes its time. Its record has
// texts of its own, for those of the request are gone by then.
type late struct {
	record accesslog.Record
	began  int64 // as clock.now; 0: nothing to be logged
	buf    []byte
}

// note logs an answer that was sent.
func (l *loop) note(c *conn, r *request, status int, bytes int64) {
	if !l.ring.On() {
		return
	}
	record := &l.record
	l.fill(record, c, r)
	record.Time, record.Duration = l.clock.unix(), 0 // It began and ended in this turn.
	record.Status, record.Bytes = status, bytes
	l.ring.Append(record)
}

// noteLate remembers what is to be logged when the output of c is sent.
func (l *loop) noteLate(c *conn, r *request, size int64) {
	if !l.ring.On() {
		return
	}
	late := &c.out.log
	record := &late.record
	l.fill(record, c, r)
	record.Status, record.Bytes = 200, size
	late.keepTexts()
	late.began = max(l.clock.now, 1)
}

// keepTexts gives the record of a late line texts of its own.
func (late *late) keepTexts() {
	record := &late.record
	for _, text := range []*[]byte{&record.Target, &record.Host, &record.Referer, &record.UserAgent} {
		n := len(late.buf)
		late.buf = append(late.buf, *text...)
		*text = late.buf[n:len(late.buf):len(late.buf)]
	}
}

// course is how an exchange went on, for the log. Times that are not known are 0.
type course struct {
	began     int64         // when the backend was chosen, as clock.now
	dialed    int64         // when a link was to be made, as clock.now
	connect   time.Duration // what that took
	firstByte time.Duration // from began to the head of the answer
	retries   int
	trouble   Event // that ended it; one without a name: none
}

// since is the time that has passed, and never 0, which says that it is not known.
func (l *loop) since(then int64) time.Duration { return time.Duration(max(l.clock.now-then, 1)) }

// logBegin remembers what is to be logged of a request that a backend answers.
func (l *loop) logBegin(c *conn, r *request, x *exchange) {
	if !l.ring.On() {
		return
	}
	l.fill(&x.log.record, c, r)
	x.log.keepTexts()
	x.log.began = max(l.clock.now, 1)
}

// logEnd logs it.
func (l *loop) logEnd(x *exchange) {
	if x.log.began == 0 {
		return
	}
	record := &x.log.record
	record.Time, record.Duration = l.clock.unix(), time.Duration(l.clock.now-x.log.began)
	record.Status, record.Bytes = x.status, x.bytes
	n := len(x.log.buf)
	x.log.buf = append(x.log.buf, x.backend.String()...)
	record.Forward = accesslog.Forward{
		Backend: x.log.buf[n:], Connect: x.course.connect, FirstByte: x.course.firstByte, Duration: l.since(x.course.began),
		Retries: x.course.retries, Event: troubles[x.course.trouble],
	}
	l.ring.Append(record)
}

// logLate logs it.
func (l *loop) logLate(c *conn, missing int64) {
	late := &c.out.log
	if late.began == 0 {
		return
	}
	record := &late.record
	record.Time, record.Duration = l.clock.unix(), time.Duration(l.clock.now-late.began)
	record.Bytes = max(record.Bytes-missing, 0) // Of the head, too, something may be missing.
	l.ring.Append(record)
	late.began = 0
}

var (
	protocol11 = []byte("HTTP/1.1")
	protocol10 = []byte("HTTP/1.0")

	methodNames = func() (names [len(methods)][]byte) {
		for m := range methods {
			names[m] = []byte(method(m).name())
		}
		return names
	}()
)

// fill copies what was asked, and by whom.
func (l *loop) fill(record *accesslog.Record, c *conn, r *request) {
	record.Method, record.Protocol = methodNames[r.method], protocol10
	if r.minor == 1 {
		record.Protocol = protocol11
	}
	record.Remote = c.from
	record.Target, record.Host, record.Referer, record.UserAgent = r.target, r.host, r.referer, r.userAgent
}
