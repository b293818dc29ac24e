package eventloop

import (
	"sync"

	"ramjet/accelerator/backend"
)

// An inbox is how other goroutines tell a loop something. The loop looks into it
// when its bell rings.
type inbox struct {
	mu       sync.Mutex // guards all below
	messages []message
	spare    []message
	closed   bool
}

// A message is one thing to be told.
type message struct {
	fetched key              // the piece that this connection waits for is in memory,
	failed  bool             // or it cannot be read
	taken   *handed          // another loop gives this connection
	linked  *linked          // a connection to a backend was made, or not
	drained *backend.Backend // gets nothing any more
	room    bool             // there may be a slot for a connection again
	drain   bool             // no more connections and no more requests than those begun
	cut     bool             // end what is left
}

// post tells the loop, whose bell is rung, and reports whether it will hear it.
func (i *inbox) post(m message, bell int) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return false
	}
	if i.messages = append(i.messages, m); len(i.messages) == 1 {
		ring(bell)
	}
	return true
}

// take returns what there is, until the next call.
func (i *inbox) take() []message {
	i.mu.Lock()
	defer i.mu.Unlock()
	m := i.messages
	i.messages, i.spare = i.spare[:0], m
	return m
}

// close ends the inbox and returns what is left in it.
func (i *inbox) close() []message {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.closed = true
	return i.messages
}

// readInbox does what the loop is told.
func (l *loop) readInbox() {
	messages := l.inbox.take()
	for _, m := range messages {
		switch {
		case m.taken != nil:
			l.take(m.taken)
		case m.linked != nil:
			l.linkMade(m.linked)
		case m.drained != nil:
			l.closeUnused(m.drained)
		case m.room:
			l.hear()
		case m.drain:
			l.drain()
		case m.cut:
			l.cut()
		default:
			if c := l.lookup(m.fetched); c != nil {
				l.fetched(c, m.failed)
			}
		}
	}
	clear(messages)
}

// drain accepts what waits in the kernel's queue, which would be reset with the
// listener, and ends the connections that wait for a request. Those that are
// left end with their answer.
func (l *loop) drain() {
	for turn := 0; l.listener >= 0 && !l.deaf && turn < queueTurns && l.accept(); turn++ {
	}
	l.draining = true
	l.closeListener()
	for _, c := range l.slots {
		if c.state == idle || c.state == inHead && len(c.in) == 0 {
			l.drop(c)
		}
	}
}

// cut ends all connections.
func (l *loop) cut() {
	for _, c := range l.slots {
		if c.state != gone && c.backend == nil {
			l.abort(c)
		}
	}
}

func (l *loop) closeListener() {
	if l.listener >= 0 {
		closeDescriptor(l.listener)
		l.listener = -1
	}
}

// end gives back what the loop has.
func (l *loop) end() {
	for _, m := range l.inbox.close() {
		if m.taken != nil {
			closeDescriptor(m.taken.fd)
			l.server.Limiter.Release(m.taken.from)
		}
		if m.linked != nil && m.linked.err == nil {
			closeDescriptor(m.linked.fd)
		}
	}
	for _, c := range l.slots {
		if c.state == tunnelling {
			l.drop(c)
		}
	}
	l.endLinks()
	l.closeListener()
	if l.reserve >= 0 {
		closeDescriptor(l.reserve)
	}
	closeDescriptor(l.bell)
	closeDescriptor(l.epoll)
	l.publish()
}
