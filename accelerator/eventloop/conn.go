package eventloop

import (
	"net/netip"
	"time"

	"ramjet/accelerator/backend"
)

// key names a connection in the events of epoll(7). A slot is used again; the
// generation tells an event that is meant for its last user.
type key struct {
	slot       int32
	generation uint32
}

// conn is a connection. Only its loop touches it.
type conn struct {
	key
	fd    int32
	state state

	stays   bool // the loop is its own from now on
	watched bool // in the epoll set
	roomy   bool // watched for room to send as well
	more    bool // something has arrived since the last recv
	served  bool // has had an answer
	settled bool // has the congestion control that it keeps
	said    bool // of a side of a tunnel: it has said all, and that was read
	ended   bool // the client has said all: the end of the stream follows what has arrived
	closing bool // ends when its output is drained
	warm    bool // the file's next piece has just been found in memory
	lost    bool // the file to answer with cannot be read

	in  []byte  // read, and not yet answered
	out *output // not yet sent, nil if nothing

	deadline int64 // as clock.now
	spoke    int64 // of the wheel, -1: on none
	before   *conn // on it
	after    *conn

	sent  int    // bytes of bodies, until the congestion control is settled
	acked uint64 // when the stall rule last looked
	since int64  // when that last moved, as clock.now

	from netip.Addr

	x *exchange // that it is in, or nil

	backend   *backend.Backend // of a link: to whom
	keepAlive int64            // of a link: how long it is kept unused, nanoseconds
}

// state is what a connection waits for.
type state uint8

const (
	idle state = iota
	inHead
	sending
	fetching
	lingering
	connecting
	relaying
	tunnelling
	linking
	unused
	asking
	tunnelled
	gone
)

// A row of the state machine: what happens in a state when there is something to
// read, when there is room to send, and when its time is over. Without readable
// the connection notes that there is something.
type row struct {
	name     string
	waitsFor string
	readable func(*loop, *conn)
	writable func(*loop, *conn)
	expired  func(*loop, *conn)
	limit    func(*Limits) time.Duration
}

// states is the state machine.
//
//	           ┌─────────────────── all of it sent ──────────────────┐
//	           ▼                                                     │
//	accept ─► idle ─► inHead ─► parse ─► answer ─► send ─► sending ──┤
//	                              │       │   ▲             │   ▲    ├─► lingering ─► gone
//	                              │       ▼   │             ▼   │    │
//	                              │     fetching           fetching  └─► gone
//	                              ├─► not ours: handed off, gone from here
//	                              └─► for the farm ─► (connecting ─►) relaying ─► send
//
// A connection to a backend is asking during an exchange, and unused between two.
// When both sides change to another protocol they are tunnelling and tunnelled.
var states [gone + 1]row

func init() { // The functions refer to the table.
	states = [...]row{
		idle:       {"idle", "the next request", (*loop).read, nil, (*loop).idleTooLong, func(l *Limits) time.Duration { return l.IdleTime }},
		inHead:     {"head", "the rest of a head", (*loop).read, nil, (*loop).headTooSlow, func(l *Limits) time.Duration { return l.HeadTime }},
		sending:    {"sending", "room to send the rest of an answer", nil, (*loop).write, (*loop).stalled, func(l *Limits) time.Duration { return l.StallTime / stallLooks }},
		fetching:   {"fetching", "a piece of a file from the disk", nil, nil, (*loop).fetchAgain, func(*Limits) time.Duration { return fetchRetry }},
		lingering:  {"lingering", "the client to take note of the end", (*loop).discard, nil, (*loop).drop, func(*Limits) time.Duration { return lingerTime }},
		connecting: {"connecting", "a connection to a backend", nil, nil, nil, nil},
		relaying:   {"relaying", "a backend's answer, or the rest of its own request", (*loop).feed, nil, (*loop).feedTooSlow, nil},
		tunnelling: {"tunnelling", "whatever one side says to the other", (*loop).fromClient, (*loop).toClient, nil, nil},
		linking:    {"linking", "a backend to accept a connection", (*loop).linkUp, (*loop).linkUp, (*loop).linkTooSlow, nil},
		unused:     {"unused", "a request to a backend", (*loop).linkTalks, nil, (*loop).linkTooOld, nil},
		asking:     {"asking", "the answer of a backend", (*loop).readAnswer, (*loop).askMore, (*loop).answerTooSlow, nil},
		tunnelled:  {"tunnelled", "the same, as a backend", (*loop).fromBackend, (*loop).toBackend, nil, nil},
		gone:       {},
	}
}

// States describes the states of a connection: name, and what it waits for.
func States() (rows [][2]string) {
	for _, s := range states[:gone] {
		rows = append(rows, [2]string{s.name, s.waitsFor})
	}
	return rows
}

// lingerTime is how long a connection that we end is still read from, so that
// the client sees our answer and not a reset (RFC 9112 §9.6).
const lingerTime = 500 * time.Millisecond

// enter puts c into a state, with its deadline.
func (l *loop) enter(c *conn, s state) {
	c.state = s
	l.wheel.set(c, l.clock.now+l.limit[s])
}

func (l *loop) idleTooLong(c *conn) {
	l.tally.counters[IdleTimeouts]++
	l.drop(c)
}

func (l *loop) headTooSlow(c *conn) {
	l.tally.counters[HeadTimeouts]++
	l.drop(c)
}

// stallLooks is how often a client is looked at in the time of the stall rule. What is
// noticed late counts from then on, so with few looks it would have twice its time.
const stallLooks = 8

// stalled judges a client that has not made room for the rest of its answer. The
// kernel's buffer holds a lot, so what counts is whether the client acknowledges
// anything: a slow reader may go on.
func (l *loop) stalled(c *conn) {
	if acked := acknowledged(int(c.fd)); acked != c.acked {
		c.acked, c.since = acked, l.clock.now
	}
	if l.clock.now-c.since < int64(l.server.Limits.StallTime) {
		l.enter(c, sending)
		return
	}
	l.tally.counters[StallTimeouts]++
	if c.x != nil {
		l.clientFails(c.x, ClientStalled)
	}
	l.abort(c)
}

// discard throws away what a client sends behind its last request.
func (l *loop) discard(c *conn) {
	for range 16 {
		n, errno := recv(int(c.fd), l.in)
		if errno == again {
			return
		}
		if errno != 0 || n == 0 {
			break
		}
	}
	l.drop(c) // It has noted the end, or does not stop sending.
}
