package eventloop

import (
	"math"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"ramjet/accelerator/accesslog"
	"ramjet/accelerator/backend"
	"ramjet/accelerator/content"
)

// A loop serves its connections from one thread that is tied to one CPU. All of
// it but the inbox is touched by that thread alone: no locks, and no allocation
// for a request.
type loop struct {
	server   *Server
	cpu      int
	epoll    int
	listener int // -1 when it is closed
	bell     int // eventfd(2): there is something in the inbox

	clock    *clock
	wheel    wheel
	limit    [gone + 1]int64 // of each state, nanoseconds
	maxHead  int
	draining bool
	goesFar  bool // connections may change their congestion control, see far.go

	deaf    bool  // the listener is not watched
	hearAt  int64 // when it is watched again, never: when told so
	reserve int   // a descriptor to give up when there is none for a connection, or -1

	slots []*conn // by number
	free  []int32 // slots without a connection
	later []key   // connections that had their turn and have more to say
	turns []key   // the same, being worked on

	in      []byte // what is read goes here
	request request
	batch   batch
	outputs []*output // to be used again

	choice    backend.Choice
	key       [64]byte // for the text of an address
	pieces    []piece
	answerIn  []byte // what is read of answers goes here
	reply     reply
	pipes     []*pipe                      // empty ones, to be used again
	exchanges []*exchange                  // to be used again
	links     map[*backend.Backend][]*conn // unused ones, the last one used last

	path       []byte // the path of a request, unescaped
	accepts    []byte // the last Accept-Encoding, and what it means
	acceptance content.Acceptance
	stat       syscall.Stat_t
	probe      [1]byte
	spare      []byte

	ring   *accesslog.Ring // nil: no access log
	record accesslog.Record

	tally       tally
	published   published
	publishedAt int64
	open        int          // connections
	tunnels     int          // of these, tunnels
	kept        atomic.Int64 // those that are watched; other loops compare

	inbox inbox
}

const (
	// readBuffer holds what is read at once.
	readBuffer = 64 << 10
	// headBuffer is the largest head that the loop looks at.
	headBuffer = 8 << 10
	// eventsAtOnce bounds the events of one turn.
	eventsAtOnce = 256
	// never is a deadline that does not come.
	never = math.MaxInt64 / 2
)

// The keys of what is watched besides connections.
var (
	bellKey     = key{slot: -1}
	listenerKey = key{slot: -2}
)

// run serves until the loop is told to drain and has no connection left but
// tunnels, which may last for ever.
func (l *loop) run() {
	runtime.LockOSThread() // Never unlocked: the thread ends with the goroutine.
	if err := pin(l.cpu); err != nil {
		l.server.Log.Warn("cannot tie an event loop to its CPU, it goes on without", "cpu", l.cpu, "err", err)
	}
	events := make([]unix.EpollEvent, eventsAtOnce)
	for !l.draining || l.open > l.tunnels {
		n, errno := poll(l.epoll, events)
		if n == 0 && len(l.later) == 0 {
			l.publish()
			n, errno = wait(l.epoll, events, l.patience())
			l.clock.tick()
		}
		if errno != 0 && errno != syscall.EINTR {
			panic("epoll_pwait: " + errno.Error()) // Only a mistake of ours.
		}
		began := l.clock.now
		l.tidy(events[:max(n, 0)])
		for _, ev := range events[:max(n, 0)] {
			l.event(key{ev.Fd, uint32(ev.Pad)}, ev.Events)
		}
		l.goOnLater()
		l.clock.tick()
		if n > 0 {
			l.tally.lag(l.clock.now - began)
		}
		l.wheel.turn(l.clock.now, func(c *conn) { states[c.state].expired(l, c) })
		if l.deaf && l.clock.now >= l.hearAt {
			l.hear()
		}
		if l.clock.now-l.publishedAt > int64(publishEvery) {
			l.publish()
		}
	}
	l.end()
}

// publishEvery is how old the published counters of a busy loop may be.
const publishEvery = 10 * time.Millisecond

func (l *loop) publish() {
	l.publishedAt = l.clock.now
	l.published.publish(&l.tally)
}

// patience is how long the loop may sleep.
func (l *loop) patience() time.Duration {
	due := l.wheel.due(l.clock.now)
	if l.deaf {
		due = min(due, time.Duration(max(l.hearAt-l.clock.now, 0)))
	}
	return min(due, time.Hour)
}

// tidy sees to the unused links among the events before the others: what came on one,
// unasked, must not be there when a request that came at the same time takes it, or it
// would be taken for the answer.
func (l *loop) tidy(events []unix.EpollEvent) {
	if len(l.links) == 0 {
		return
	}
	for _, ev := range events {
		if ev.Fd < 0 || ev.Events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLERR|unix.EPOLLHUP) == 0 {
			continue
		}
		if u := l.lookup(key{ev.Fd, uint32(ev.Pad)}); u != nil && u.state == unused {
			l.linkTalks(u)
		}
	}
}

// event gives an event to whom it is for.
func (l *loop) event(k key, what uint32) {
	switch k {
	case bellKey:
		silence(l.bell)
		l.readInbox()
		return
	case listenerKey:
		l.accept()
		return
	}
	c := l.lookup(k)
	if c == nil {
		return // It has gone since.
	}
	if what&(unix.EPOLLERR|unix.EPOLLHUP) != 0 && c.backend != nil {
		what |= unix.EPOLLIN | unix.EPOLLRDHUP // There may be an answer before the end.
	} else if what&(unix.EPOLLERR|unix.EPOLLHUP) != 0 && c.state != fetching {
		if c.state != lingering {
			l.tally.counters[Resets]++
		}
		l.drop(c)
		return
	}
	if what&(unix.EPOLLIN|unix.EPOLLRDHUP) != 0 {
		c.more = true
		c.ended = c.ended || what&unix.EPOLLRDHUP != 0
		if on := states[c.state].readable; on != nil {
			on(l, c)
		}
	}
	if what&unix.EPOLLOUT != 0 && l.lookup(k) == c {
		if on := states[c.state].writable; on != nil {
			on(l, c)
		}
	}
}

// lookup returns the connection that k names, nil if it has gone.
func (l *loop) lookup(k key) *conn {
	if c := l.slots[k.slot]; c != nil && c.generation == k.generation && c.state != gone {
		return c
	}
	return nil
}

// goOnLater gives the connections another turn that have had one and have more to say.
func (l *loop) goOnLater() {
	if len(l.later) == 0 {
		return
	}
	keys := l.later
	l.later, l.turns = l.turns[:0], keys
	for _, k := range keys {
		if c := l.lookup(k); c != nil && states[c.state].readable != nil {
			states[c.state].readable(l, c)
		}
	}
}

// watch has c in the epoll set, for what it wants to know.
func (l *loop) watch(c *conn) {
	events := uint32(unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff)
	if c.roomy {
		events |= unix.EPOLLOUT
	}
	op := unix.EPOLL_CTL_ADD
	if c.watched {
		op = unix.EPOLL_CTL_MOD
	}
	if !c.watched {
		c.watched = true
		l.kept.Add(1)
	}
	if errno := watch(l.epoll, op, int(c.fd), events, c.key); errno != 0 {
		l.server.Log.Error("cannot watch a connection", "err", errno)
	}
}

// add makes a connection of a descriptor.
func (l *loop) add(h handed) *conn {
	k := l.slot()
	c := l.slots[k.slot]
	*c = conn{key: k, fd: int32(h.fd), from: h.from, served: h.served, spoke: -1, settled: !l.goesFar}
	l.open++
	l.enter(c, inHead)
	return c
}

// slot returns a place for a connection.
func (l *loop) slot() key {
	var slot int32
	if n := len(l.free); n > 0 {
		slot, l.free = l.free[n-1], l.free[:n-1]
	} else {
		slot = int32(len(l.slots))
		l.slots = append(l.slots, &conn{state: gone})
	}
	return key{slot, l.slots[slot].generation + 1}
}

// finish ends c behind its last answer.
func (l *loop) finish(c *conn) {
	// What was kept for the end goes out with it. Closing alone would lose it if
	// something had come that was not read: then the connection is reset.
	shut(int(c.fd))
	if !c.more && len(c.in) == 0 {
		l.drop(c)
		return
	}
	// There is input that nobody will answer, and there may be more of it: closing
	// now would reset the connection, and might take the answer from the client.
	if !c.watched {
		l.watch(c)
	}
	l.enter(c, lingering)
	l.discard(c)
}

// abort ends c in the middle of an answer, so that the client knows.
func (l *loop) abort(c *conn) {
	reset(int(c.fd))
	l.drop(c)
}

// drop ends c.
func (l *loop) drop(c *conn) {
	fd, from := int(c.fd), c.from
	l.release(c)
	closeDescriptor(fd)
	l.server.Limiter.Release(from)
}

// release gives up the slot of c. Its descriptor is the caller's.
func (l *loop) release(c *conn) {
	if c.x != nil {
		l.clientLeaves(c)
	}
	if c.out != nil {
		l.logLate(c, c.out.left())
		l.forget(c)
	}
	if c.watched {
		l.kept.Add(-1)
	}
	l.wheel.remove(c)
	c.state, c.in = gone, nil
	l.free = append(l.free, c.slot)
	l.open--
}
