package proxy

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// lingerTime bounds the reading of what is left of a request's body after the
// answer to it: net/http reads some of it, so that the client sees the answer
// before it sees the connection closed.
const lingerTime = 5 * time.Second

// keepSize is how much of a body is kept, in bytes, so that a request can be sent
// once more: most forms and calls of an API are smaller.
const keepSize = 16 << 10

// clientBody is the body of a request on its way to a backend, or to several, one
// after the other. It ends a body that stalls, remembers why reading failed, and
// collects the trailer.
//
// It is read by a goroutine of the transport, which may outlive the exchange by
// one call; the other methods are for the goroutine of the handler.
type clientBody struct {
	body    io.ReadCloser
	in      *http.Request // its Trailer is filled by the last Read
	trailer http.Header   // what the backend gets; written by the last Read, before it returns
	changed *FieldChanges // whose fields a trailer may not have
	control *http.ResponseController
	idle    time.Duration // between two reads; 0 is no limit

	mu        sync.Mutex
	reading   bool      // guarded by mu: a Read waits for the client
	stopped   sync.Cond // of mu: reading has become false
	passage   *passage  // guarded by mu: the one that may read; nil: none
	start     []byte    // guarded by mu: of the body, while it is all that was read
	read      int64     // guarded by mu: bytes so far
	lost      bool      // guarded by mu: its beginning was lost before
	withdrawn bool      // guarded by mu: reading was ended for the backend's sake
	whole     bool      // guarded by mu: all of the body has been read
	over      bool      // guarded by mu: the exchange has ended
	expired   bool      // guarded by mu: its whole time has passed
	err       error     // guarded by mu: why reading failed
}

// newClientBody makes the body of r, and lets it be read while the answer is
// written: otherwise net/http would wait for the rest of it, or for the client's
// next byte, before it sent the head of an early answer.
func newClientBody(w http.ResponseWriter, r *http.Request, idle time.Duration, changed *FieldChanges) *clientBody {
	b := &clientBody{body: r.Body, in: r, idle: idle, changed: changed, control: http.NewResponseController(w)}
	b.stopped.L = &b.mu
	_ = b.control.EnableFullDuplex() // HTTP/2 has it anyway
	if r.ContentLength < 0 {
		b.trailer = http.Header{}
		for name := range r.Trailer {
			if b.passes(name, nil) {
				b.trailer[name] = nil // announced
			}
		}
	}
	return b
}

// passes reports whether the backend gets a trailer field. One that a route sets or
// removes could be merged into the header there.
func (b *clientBody) passes(name string, values []string) bool {
	return endToEndTrailer(name, values) && !b.changed.concerns(name)
}

// passage is a body as it goes to one backend.
type passage struct {
	*clientBody
	read int64 // bytes so far
}

// again returns the body for the next backend, from its beginning. It takes it
// away from the one before. Of a body that is not kept the beginning is gone.
func (b *clientBody) again() *passage {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.passage = &passage{clientBody: b}
	return b.passage
}

// withhold takes the body away from the backend that has it.
func (b *clientBody) withhold() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.passage = nil
}

// withdraw ends a Read that waits for the client, for nobody can use what it would bring:
// the backend has failed, and the transport does not say so before the Read has returned.
// If the request is cancelled already, net/http has seen the Read fail: that is the reason
// why the connection to the backend was closed, and Read is about to say so.
func (b *clientBody) withdraw() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.reading && !b.over && !b.expired && b.in.Context().Err() == nil {
		b.lost, b.withdrawn = true, true
		_ = b.control.SetReadDeadline(time.Unix(1, 0))
	}
}

// wasWithdrawn reports whether that was done. net/http takes it for the end of the client.
func (b *clientBody) wasWithdrawn() bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.withdrawn
}

// lose notes that what can be read is not the beginning of the body. It goes nowhere.
func (b *clientBody) lose() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lost = true
}

// kept reports whether the body, or the absence of one, can be sent once more.
func (b *clientBody) kept() bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.lost && b.read == int64(len(b.start))
}

// Read implements io.Reader.
func (p *passage) Read(to []byte) (int, error) {
	b := p.clientBody
	n, err, done := b.begin(p, to)
	if !done {
		n, err = b.body.Read(to)
		b.end(to[:n], err)
		if err != nil && b.wasWithdrawn() {
			err = errGone // It is not the client who was too slow.
		}
	}
	p.read += int64(n)
	return n, err
}

// begin reads what is known, or else starts the clock for one read of the client,
// unless the exchange is over: then the connection belongs to the next request,
// and its deadline too.
func (b *clientBody) begin(p *passage, to []byte) (n int, err error, done bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.reading { // for another passage, which has lost it
		b.stopped.Wait()
	}
	switch {
	case b.lost:
		return 0, errGone, true
	case b.passage != p || b.over || b.expired:
		return 0, http.ErrBodyReadAfterClose, true
	case p.read < b.read && b.read > int64(len(b.start)):
		return 0, errGone, true
	case p.read < b.read:
		return copy(to, b.start[p.read:]), nil, true
	case b.whole:
		return 0, io.EOF, true
	case b.err != nil:
		return 0, b.err, true
	}
	b.reading = true
	if b.idle > 0 {
		_ = b.control.SetReadDeadline(time.Now().Add(b.idle))
	}
	return 0, nil, false
}

// expire ends a read that waits, and all that follow: the transport waits for it,
// whatever has become of the exchange.
func (b *clientBody) expire() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.over && !b.whole {
		b.expired = true
		_ = b.control.SetReadDeadline(time.Unix(1, 0))
	}
}

// end ends a read, and notes the end of the body, good or bad.
func (b *clientBody) end(p []byte, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading = false
	b.stopped.Broadcast()
	if b.read == int64(len(b.start)) && len(b.start)+len(p) <= keepSize {
		b.start = append(b.start, p...)
	}
	b.read += int64(len(p))
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		b.whole = true
		for name, values := range b.in.Trailer {
			if b.trailer != nil && b.passes(name, values) {
				b.trailer[name] = values
			}
		}
		if !b.over && b.idle > 0 {
			// net/http goes on to watch the connection for its end.
			_ = b.control.SetReadDeadline(time.Time{})
		}
	case b.err == nil && !b.over && !b.withdrawn:
		b.err = err
	}
}

// Close does nothing: the body is the server's to close.
func (p *passage) Close() error { return nil }

// failure is why the body could not be read to its end, or nil.
func (b *clientBody) failure() error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// unread reports whether some of the body is still to come. The connection is
// of no use after an answer that is sent then: what follows on it is not a
// request.
func (b *clientBody) unread() bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.whole
}

// finish ends the exchange's part in the body, and bounds the server's. A Read
// that still waits is ended first: net/http would end it by itself, and take
// the deadline away.
func (b *clientBody) finish() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = true
	if b.reading && b.control.SetReadDeadline(time.Unix(1, 0)) == nil {
		for b.reading {
			b.stopped.Wait()
		}
	}
	if b.whole || b.err != nil {
		return
	}
	linger := lingerTime
	if b.idle > 0 {
		linger = min(linger, b.idle)
	}
	_ = b.control.SetReadDeadline(time.Now().Add(linger))
}
